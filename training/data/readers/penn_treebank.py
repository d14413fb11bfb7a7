"""Penn Treebank as Mikolov prepared it: lower case, 10,000 words, one sentence a line."""

from __future__ import annotations

from pathlib import Path

from refrain.training.data.corpus import Split, TextCorpus

FILES: dict[Split, str] = {
    "train": "ptb/ptb.train.txt",
    "validation": "ptb/ptb.valid.txt",
    "test": "ptb/ptb.test.txt",
}


def read_penn_treebank(root: Path) -> TextCorpus:
    """Read the benchmark: each line a text that ends with the boundary, the state carried over."""
    return TextCorpus(
        {
            split: [line.strip() for line in (root / file).read_text("utf-8").splitlines()]
            for split, file in FILES.items()
        },
        unit="stream",
    )
