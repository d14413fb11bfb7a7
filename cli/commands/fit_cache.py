"""`refrain fit-cache`: fit a checkpoint's neural cache, which adaptive sessions use."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refrain.models.card import Metric
    from refrain.models.checkpoint import Checkpoint
    from refrain.models.networks.language_model import LanguageModel
    from refrain.models.neural_cache import NeuralCacheConfig
    from refrain.training.evaluation.neural_cache import ReadText

EXAMPLES = """examples:
  refrain fit-cache checkpoints/english
  refrain fit-cache checkpoints/my-book --data my-book.txt
  refrain fit-cache checkpoints/english --window 4000 --dry-run
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "fit-cache",
        help="fit the neural cache that adaptive sessions use",
        description="Fit the neural cache of a language model on the validation texts of its corpus, and write it to "
        "its config.json.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="a checkpoint's folder")
    parser.add_argument(
        "--data",
        type=Path,
        help="the folder of the corpora (default: REFRAIN_DATA), or the text file it was trained on",
    )
    parser.add_argument("--window", type=int, default=2_000, help="tokens that are remembered")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fit on validation, report on test, and on texts of shuffled lines."""
    from dataclasses import replace

    from refrain.models.checkpoint import load_checkpoint
    from refrain.models.int8 import has_int8_form
    from refrain.models.networks.language_model import LanguageModel
    from refrain.training.errors import RecipeError
    from refrain.training.publishing.card import update_card

    checkpoint = load_checkpoint(options.checkpoint)
    model = checkpoint.model
    if not isinstance(model, LanguageModel) or not has_int8_form(model):
        raise RecipeError(f"{checkpoint.name} has no int8 form, which a neural cache needs")
    config, metrics = _fit(model, checkpoint, options)
    print(config)
    if not options.dry_run:
        update_card(options.checkpoint, replace(checkpoint, neural_cache=config), metrics)
    return 0


def _fit(
    model: LanguageModel, checkpoint: Checkpoint, options: argparse.Namespace
) -> tuple[NeuralCacheConfig, list[Metric]]:
    """Fit a cache and print a row for each set of texts; return the metrics of a cache that lowers perplexity."""
    from refrain.models.card import Metric
    from refrain.models.neural_cache import NeuralCacheConfig
    from refrain.training.evaluation.adaptation import SPLITS
    from refrain.training.evaluation.neural_cache import fit, read_int8_texts
    from refrain.training.publishing.card import INT8_CACHE

    config = NeuralCacheConfig(window=options.window)
    tokenizer = checkpoint.tokenizer
    metrics = []
    print(f"{'texts':28} {'alone':>10} {'with cache':>12} {'change':>8}")
    for name, documents in _texts(checkpoint, options.data).items():
        ids = tokenizer.encode_batch(documents)
        texts = read_int8_texts(model, ids, tokenizer.eos_id)
        if name == "validation":
            config = fit(texts, config.window)
        alone, adapted = _perplexities(texts, config)
        print(f"{name:28} {alone:10.2f} {adapted:12.2f} {adapted / alone - 1:8.1%}", flush=True)
        if name in SPLITS and config.weight:
            metrics.append(Metric("perplexity", name, round(adapted, 4), INT8_CACHE))
    return config, metrics


def _perplexities(texts: Sequence[ReadText], config: NeuralCacheConfig) -> tuple[float, float]:
    """Return the perplexity of the model alone, and with the cache."""
    from dataclasses import replace

    from refrain.training.evaluation.neural_cache import cache_probs, perplexity

    cached = [cache_probs(text, config.inverse_temperature, config.window) for text in texts]
    alone = perplexity(texts, cached, replace(config, weight=0))
    return alone, perplexity(texts, cached, config)


def _texts(checkpoint: Checkpoint, data: Path | None) -> dict[str, Sequence[str]]:
    """Return what a cache is measured on: two splits, and lines in an order in which there is nothing to remember."""
    from refrain.training.data.corpus import TextCorpus
    from refrain.training.data.datasets.loading import corpus_of
    from refrain.training.errors import RecipeError
    from refrain.training.evaluation.adaptation import SPLITS
    from refrain.training.evaluation.neural_cache import shuffled_lines

    corpus = corpus_of(checkpoint.card, data, os.environ)
    if not isinstance(corpus, TextCorpus):
        raise RecipeError(f"{checkpoint.name}: a neural cache needs a corpus of texts")
    documents = corpus.documents
    shuffled = {"validation, lines shuffled": shuffled_lines(documents["validation"])}
    return {split: documents[split] for split in SPLITS} | shuffled
