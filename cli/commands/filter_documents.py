"""`refrain filter`: keep the documents of a file that read best."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.cli.documents.document_file import DocumentFile
from refrain.cli.documents.document_filter import DocumentFilter
from refrain.cli.documents.paths import STANDARD, is_same_file
from refrain.cli.documents.texts import InputError
from refrain.cli.options.answers import add_folder_option, add_precision_option
from refrain.cli.options.processor import add_threads_option

if TYPE_CHECKING:
    from refrain.inference.local import LocalModel

EXAMPLES = """examples:
  refrain filter pages.txt clean.txt --max-perplexity 200
  refrain filter pages.jsonl clean.jsonl.gz --unit jsonl --field text --keep-best 0.8
  refrain filter pages.txt --scores scores.jsonl              # measure only, decide later
  zcat *.gz | refrain filter - --max-perplexity 200 --skip-bad-lines | gzip > clean.gz

A document is a line of IN, or the field --field of a line of JSON. What is kept is written as it was, byte for byte, in
its order; empty documents are dropped. --keep-best reads IN twice, so IN must not be a pipe. Perplexity is that of
`refrain score`. OUT appears when it is complete. Memory use stays small, however large IN is.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "filter",
        help="keep the documents of a file that read best",
        description="Keep the documents of a file whose perplexity under a language model is low.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_file_arguments(parser)
    _add_limit_options(parser)
    _add_document_options(parser)
    parser.add_argument("--model", metavar="NAME|DIR", help="as in `refrain score`")
    add_folder_option(parser)
    add_precision_option(parser)
    add_threads_option(parser)
    parser.set_defaults(run=run)


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what is read, and where what is kept goes."""
    parser.add_argument(
        "input", type=Path, metavar="IN", help="a file or a pipe; - for standard input"
    )
    parser.add_argument(
        "output",
        type=Path,
        nargs="?",
        default=STANDARD,
        metavar="OUT",
        help="where to write what is kept (default: standard output); .gz is compressed",
    )


def _add_limit_options(parser: argparse.ArgumentParser) -> None:
    """Describe which documents are kept."""
    limits = parser.add_mutually_exclusive_group()
    limits.add_argument(
        "--max-perplexity", type=_positive, metavar="X", help="keep documents up to this perplexity"
    )
    limits.add_argument(
        "--keep-best",
        type=_share,
        metavar="SHARE",
        help="keep this share of the documents, those of the lowest perplexity",
    )
    parser.add_argument(
        "--max-unknown",
        type=_share,
        metavar="SHARE",
        help="drop documents of which more than this share of the tokens are unknown to the vocabulary: "
        "unknown words make a text look likelier than it is",
    )


def _add_document_options(parser: argparse.ArgumentParser) -> None:
    """Describe what a document is, and what is reported of each."""
    parser.add_argument(
        "--unit", choices=("line", "jsonl"), default="line", help="what a line is (default: line)"
    )
    parser.add_argument(
        "--field", default="text", help="the field of JSON that holds the text (default: text)"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="write each document's scores here, as JSON lines",
    )
    parser.add_argument(
        "--skip-bad-lines",
        action="store_true",
        help="drop lines that are not UTF-8, too long, or without the field, instead of stopping",
    )
    parser.add_argument(
        "--count-end", action="store_true", help="count the end of a document as one more token"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, decide, write."""
    source = _source_of(options)
    DocumentFilter(options, source, lambda sample: _choose_model(options, sample)).run()
    return 0


def _source_of(options: argparse.Namespace) -> DocumentFile:
    """Return the documents to read, if the flags go together.

    Raises
    ------
    InputError
        If they do not.
    """
    is_deciding = options.max_perplexity is not None or options.keep_best is not None
    if not is_deciding and (options.scores is None or options.output != STANDARD):
        raise InputError(
            "choose what to keep with --max-perplexity X or --keep-best SHARE, or give --scores FILE without OUT"
        )
    source = DocumentFile(options.input, options.unit, options.field)
    if options.keep_best is not None and source.is_stream:
        raise InputError(
            "--keep-best reads its input twice: give a file, not standard input or a pipe"
        )
    _require_apart(options.input, options.output if is_deciding else None, options.scores)
    return source


def _choose_model(options: argparse.Namespace, sample: str) -> LocalModel:
    """Load the model that is named, or suits a sample of the documents."""
    from refrain.cli.answers.local import LocalAnswers

    return LocalAnswers(options).language_model(sample)


def _require_apart(source: Path, output: Path | None, scores: Path | None) -> None:
    """Refuse to write over the input, or documents and scores to one file."""
    for path in (output, scores):
        if path and source != STANDARD and is_same_file(path, source):
            raise InputError(f"{path} is the input; write to another file")
    if output and scores and is_same_file(output, scores):
        raise InputError(f"--scores {scores} is where the documents go; write to another file")


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text}")
    return value
