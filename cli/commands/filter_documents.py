"""`refrain filter`: keep the documents of a file that read best."""

from __future__ import annotations

import argparse
import json
import math
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.cli.documents.document_files import (
    STANDARD,
    Document,
    DocumentFile,
    OutputFile,
    is_same_place,
)
from refrain.cli.documents.filter_progress import FilterProgress
from refrain.cli.documents.texts import InputError
from refrain.cli.options.answers import add_folder_option, add_precision_option, add_threads_option
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.text.language import recognise_language

if TYPE_CHECKING:
    from refrain.inference.local import LocalModel
    from refrain.inference.operations.scoring import TextScore

EXAMPLES = """examples:
  refrain filter pages.txt clean.txt --max-perplexity 200
  refrain filter pages.jsonl clean.jsonl.gz --unit jsonl --field text --keep-best 0.8
  refrain filter pages.txt --scores scores.jsonl              # measure only, decide later
  zcat *.gz | refrain filter - --max-perplexity 200 --skip-bad-lines | gzip > clean.gz

A document is a line of IN, or the field --field of a line of JSON. What is kept is written as it was, byte for byte, in
its order; empty documents are dropped. --keep-best reads IN twice, so that it must be no pipe. Perplexity is that of
`refrain score`. OUT appears when it is complete; memory stays small, however large IN is.
"""
MAX_BYTES_AHEAD = 1 << 26
"""Bytes of documents that may wait for the score of one before them."""


@dataclass(frozen=True)
class Limits:
    """What a document must be to be kept; None for anything."""

    max_perplexity: float | None
    max_unknown: float | None

    def badness(self, score: TextScore) -> float:
        """Return the perplexity to judge a document by; inf for one that is not kept in any case."""
        if score.perplexity is None:
            return math.inf
        too_strange = (
            self.max_unknown is not None and score.num_unknown > self.max_unknown * score.num_tokens
        )
        return math.inf if too_strange else score.perplexity


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
        help="write each document's figures here, as JSON lines",
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
    is_deciding = options.max_perplexity is not None or options.keep_best is not None
    if not is_deciding and (options.scores is None or options.output != STANDARD):
        raise InputError(
            "say what to keep: --max-perplexity X or --keep-best SHARE; or --scores FILE without OUT"
        )
    source = DocumentFile(options.input, options.unit, options.field)
    if options.keep_best is not None and source.is_stream:
        raise InputError(
            "--keep-best reads its input twice: give a file, not standard input or a pipe"
        )
    _require_apart(options.input, options.output if is_deciding else None, options.scores)
    Filter(options, source).run()
    return 0


def _require_apart(source: Path, output: Path | None, scores: Path | None) -> None:
    """Refuse to write over the input, or two things to one place."""
    for path in (output, scores):
        if path and source != STANDARD and is_same_place(path, source):
            raise InputError(f"{path} is the input; write to another file")
    if output and scores and is_same_place(output, scores):
        raise InputError(f"--scores {scores} is where the documents go; write to another file")


class Filter:
    """One run over a file."""

    def __init__(self, options: argparse.Namespace, source: DocumentFile) -> None:
        self._options = options
        self._source = source
        self._limits = Limits(options.max_perplexity, options.max_unknown)
        self._num_kept = 0
        self._num_bad = 0

    def run(self) -> None:
        """Measure every document, and write those that are kept."""
        options = self._options
        documents = self._source.documents(skips_bad=options.skip_bad_lines)
        beginning, sample = _beginning(documents)
        model = self._model(sample)
        progress = FilterProgress(self._source.num_bytes)
        with ExitStack() as stack:
            stack.callback(progress.close)
            output = stack.enter_context(OutputFile(options.output))
            scores = stack.enter_context(OutputFile(options.scores)) if options.scores else None
            stamp = None if self._source.is_stream else self._source.stamp
            threshold = options.max_perplexity
            badness = array("d")
            everything = chain(beginning, documents)
            for document, score in measured(model, everything, count_end=options.count_end):
                self._num_bad += bool(document.fault)
                progress.advance(self._source.position, score.num_tokens)
                if scores:
                    scores.write(_score_line(document, score))
                if options.keep_best is not None:
                    badness.append(self._limits.badness(score))
                elif threshold is not None and self._limits.badness(score) <= threshold:
                    self._keep(document.line, output)
            if options.keep_best is not None:
                threshold = _threshold(badness, options.keep_best)
                if not self._copy(badness, threshold, output) or self._source.stamp != stamp:
                    raise InputError(
                        f"{options.input} changed while it was read; nothing is written"
                    )
        progress.say(self._summary(progress, threshold))

    def _model(self, sample: str) -> LocalModel:
        from refrain.cli.answers.local import LocalAnswers

        return LocalAnswers(self._options).language_model(sample)

    def _copy(self, badness: array[float], threshold: float, output: OutputFile) -> bool:
        """Read again, and write what is kept; tells whether there were as many lines as before."""
        try:
            for line, value in zip(self._source.lines(), badness, strict=True):
                if value <= threshold:
                    self._keep(line, output)
        except ValueError:
            return False
        return True

    def _keep(self, line: bytes, output: OutputFile) -> None:
        self._num_kept += 1
        output.write(line)

    def _summary(self, progress: FilterProgress, threshold: float | None) -> str:
        total = progress.num_documents
        kept = ""
        if threshold is not None:
            share = f" ({self._num_kept / total:.1%})" if total else ""
            kept = f", kept {self._num_kept:,}{share} up to perplexity {threshold:.6g}"
        bad = f", {self._num_bad:,} bad lines skipped" if self._num_bad else ""
        return f"{total:,} documents, {progress.num_tokens:,} tokens{kept}{bad}; {progress.speed()}"


def measured(
    model: LocalModel, documents: Iterable[Document], *, count_end: bool
) -> Iterator[tuple[Document, TextScore]]:
    """Yield each document with its score, in order; one without a text has the score of an empty one.

    Documents are read ahead as far as slots, and the memory for those that wait, allow.
    """
    waiting: deque[Document] = deque()
    num_bytes = 0

    def texts() -> Iterator[str]:
        nonlocal num_bytes
        for document in documents:
            waiting.append(document)
            num_bytes += len(document.line)
            yield document.text

    params = ScoreParams(count_end=count_end)
    scores = model.score_all(texts(), params, lambda: num_bytes < MAX_BYTES_AHEAD)
    for score in scores:
        document = waiting.popleft()
        num_bytes -= len(document.line)
        yield document, score


def _beginning(documents: Iterator[Document]) -> tuple[list[Document], str]:
    """Take documents up to the first one that tells its language, by which the model is chosen."""
    beginning: list[Document] = []
    num_bytes = 0
    for document in documents:
        beginning.append(document)
        num_bytes += len(document.line) + 1_000
        if recognise_language(document.text) or num_bytes > MAX_BYTES_AHEAD:
            return beginning, document.text
    return beginning, ""


def _threshold(badness: array[float], share: float) -> float:
    """Return the highest perplexity among the best of those that may be kept."""
    import numpy as np

    found = np.frombuffer(badness) if len(badness) else np.empty(0)
    found = found[np.isfinite(found)]
    num_kept = round(share * len(found))
    return float(np.partition(found, num_kept - 1)[num_kept - 1]) if num_kept else 0.0


def _score_line(document: Document, score: TextScore) -> bytes:
    if document.fault:
        values: dict[str, object] = {"line": document.number, "fault": document.fault}
    else:
        values = {"line": document.number, **score.as_json()}
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"a number above 0, not {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a share from 0 to 1, not {text}")
    return value
