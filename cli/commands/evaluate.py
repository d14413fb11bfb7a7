"""`refrain evaluate`: measure a checkpoint as for its model card, or on a text file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.cli.documents.texts import InputError

if TYPE_CHECKING:
    from refrain.models.card import Metric
    from refrain.models.checkpoint import Checkpoint
    from refrain.training.data.text_file import TextFile

HEAD = f"{'split':12} {'measured':>10} {'card':>10}  metric"
EXAMPLES = """examples:
  refrain evaluate checkpoints/tang
  refrain evaluate checkpoints/english --data my-page.txt
  refrain evaluate checkpoints/english --with cache dynamic
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint",
        description="Measure a checkpoint on the corpus that it was trained on, or on a text file.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(parser)
    parser.set_defaults(run=run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what is measured, and with which adaptation methods."""
    parser.add_argument("checkpoint", type=Path, help="a checkpoint: its folder, or its name")
    parser.add_argument(
        "--data",
        type=Path,
        help="the folder of the corpora (default: REFRAIN_DATA), or a UTF-8 text file: the one that the "
        "checkpoint was trained on is split as it was then; any other is read as one text",
    )
    parser.add_argument(
        "--update-card",
        action="store_true",
        help="write the metrics to the checkpoint's card; those of other models stay",
    )
    parser.add_argument(
        "--with",
        dest="methods",
        nargs="+",
        default=[],
        choices=("kneser-ney", "cache", "dynamic"),
        help="measure also with adaptation methods, fitted on validation: interpolation with a Kneser-Ney 5-gram, a "
        "neural cache, or weights that go on learning from what they read (dynamic evaluation)",
    )


def run(options: argparse.Namespace) -> int:
    """Measure, and print a table beside the metrics of the card."""
    from refrain.models.checkpoint import find_checkpoint, load_checkpoint
    from refrain.training.data.corpus import TextCorpus
    from refrain.training.data.datasets.loading import is_own_text
    from refrain.training.data.text_file import TextFile
    from refrain.training.evaluation.evaluate import evaluate_checkpoint

    checkpoint = load_checkpoint(find_checkpoint(options.checkpoint))
    file = TextFile.scan(options.data) if options.data and options.data.is_file() else None
    if file and not is_own_text(checkpoint.card, file):
        foreign = f"{checkpoint.name} was not trained on {options.data}"
        if options.methods or options.update_card:
            raise InputError(f"{foreign}; --with and --update-card need the corpus of its training")
        print(f"{foreign}; the file is read as one text", file=sys.stderr)
        whole = TextCorpus(documents={"test": [file.read()]}, unit="documents")
        metrics = evaluate_checkpoint(checkpoint, whole, ("test",))
        print(HEAD)
        _show(metrics, {})
        return 0
    _measure(options, checkpoint, file)
    return 0


def _measure(options: argparse.Namespace, checkpoint: Checkpoint, file: TextFile | None) -> None:
    """Measure a checkpoint on what it was trained on; update its card as soon as each metric is there."""
    from refrain.training.data.corpus import LabelledCorpus, TextCorpus
    from refrain.training.data.datasets.loading import corpus_of, token_cache
    from refrain.training.data.own_text import own_text_corpus
    from refrain.training.evaluation.adaptation import measure_with_adaptation
    from refrain.training.evaluation.evaluate import evaluate_checkpoint
    from refrain.training.publishing.card import update_card
    from refrain.training.setup.tokens import as_text

    card = checkpoint.card
    corpus: TextCorpus | LabelledCorpus = (
        own_text_corpus(file, token_cache(os.environ))
        if file
        else corpus_of(card, options.data, os.environ)
    )
    adapted = (
        measure_with_adaptation(checkpoint, as_text(corpus), options.methods)
        if options.methods
        else ()
    )
    published = {(m.name, m.split, m.model): m.value for m in card.metrics}
    measured: list[Metric] = []
    print(HEAD)
    for metrics in chain((evaluate_checkpoint(checkpoint, corpus),), adapted):
        _show(metrics, published)
        measured += metrics
        if options.update_card:
            update_card(options.checkpoint, checkpoint, measured)


def _show(metrics: Sequence[Metric], card: Mapping[tuple[str, str, str], float]) -> None:
    """Print metrics beside those of a card."""
    for metric in metrics:
        published = card.get((metric.name, metric.split, metric.model))
        name = f"{metric.name} ({metric.model})" if metric.model else metric.name
        print(
            f"{metric.split:12} {metric.value:10.5g} {'-' if published is None else f'{published:.5g}':>10}  {name}",
            flush=True,
        )
