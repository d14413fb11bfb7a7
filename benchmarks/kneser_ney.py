"""Print a table: Kneser-Ney models of orders 2 to 5 on Penn Treebank and WikiText-2.

Each line of a corpus is a text of its own, blank lines included; its end is counted as a token.
Corpora are read from the folder REFRAIN_DATA (default ~/.cache/refrain). Run it from the root of the
repository: `python -m benchmarks.kneser_ney`.
"""

from __future__ import annotations

import gzip
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refrain.models.config import NGramConfig
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer

CORPORA = {
    "Penn Treebank": ("ptb/ptb.train.txt", "ptb/ptb.valid.txt", "ptb/ptb.test.txt"),
    "WikiText-2": (
        "wikitext-2/wiki.train.tokens.gz",
        "wikitext-2/wiki.valid.tokens",
        "wikitext-2/wiki.test.tokens",
    ),
}
ORDERS = (2, 3, 4, 5)
NUM_ROWS = 64
HEADER = (
    "| corpus | V | order | n-grams | tables, MB | estimate, s | validation | test perplexity "
    "| test tokens/s | ms a row |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Measure every corpus with every order; 2 if a corpus is missing."""
    folder = Path(os.environ.get("REFRAIN_DATA", "~/.cache/refrain")).expanduser()
    missing = [name for names in CORPORA.values() for name in names if not (folder / name).exists()]
    if missing:
        print(
            f"missing in {folder}: {', '.join(missing)}\n"
            "Set REFRAIN_DATA to the folder that holds them; `refrain datasets` lists how to get them.",
            file=sys.stderr,
        )
        return 2
    print(HEADER)
    for corpus, names in CORPORA.items():
        texts = [read_lines(folder / name) for name in names]
        tokenizer = Tokenizer.train("whitespace", texts[0])
        splits = [tokenizer.encode_batch(lines) for lines in texts]
        for order in ORDERS:
            print(measure(corpus, tokenizer.vocab_size, order, *splits), flush=True)
    return 0


def read_lines(path: Path) -> list[str]:
    """Read the lines of a file, packed or not."""
    packed = path.read_bytes()
    text = gzip.decompress(packed) if path.suffix == ".gz" else packed
    return text.decode("utf-8").removesuffix("\n").split("\n")


def measure(
    corpus: str,
    vocab_size: int,
    order: int,
    train: list[list[int]],
    validation: list[list[int]],
    test: list[list[int]],
) -> str:
    """Estimate one model and give its row of the table."""
    config = NGramConfig(vocab_size=vocab_size, order=order)
    model, estimate_s = timed(lambda: KneserNeyModel.estimate(train, config))
    tokens = frame(test, config.eos_id)
    log_probs, score_s = timed(lambda: model.target_log_probs(tokens))
    histories_NW = torch.from_numpy(
        np.lib.stride_tricks.sliding_window_view(tokens, order - 1)[:NUM_ROWS].copy()
    )
    _, row_s = timed(lambda: model.logits(histories_NW))
    size = sum(tensor.nbytes for tensor in model.tensors().values())
    perplexities = (
        math.exp(-model.target_log_probs(frame(validation, config.eos_id)).mean()),
        math.exp(-log_probs.mean()),
    )
    return (
        f"| {corpus} | {vocab_size:,} | {order} | {sum(model.num_ngrams):,} | {size / 1e6:.1f} "
        f"| {estimate_s:.2f} | {perplexities[0]:.2f} | {perplexities[1]:.2f} "
        f"| {len(log_probs) / score_s:,.0f} | {1000 * row_s / NUM_ROWS:.3f} |"
    )


def frame(documents: list[list[int]], eos_id: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Join documents to one array with a boundary at both ends of each."""
    pieces = [piece for document in documents for piece in (document, [eos_id])]
    return np.concatenate([[eos_id], *pieces]).astype(np.int64)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` gives and the seconds it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
