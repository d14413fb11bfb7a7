"""The documents of a file that read best: measured, chosen, and written as they were."""

from __future__ import annotations

import argparse
import json
import math
from array import array
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from refrain.cli.documents.document_file import Document, DocumentFile
from refrain.cli.documents.filter_progress import FilterProgress
from refrain.cli.documents.output_file import OutputFile
from refrain.cli.documents.scored_documents import beginning_of, scored
from refrain.cli.documents.texts import InputError

if TYPE_CHECKING:
    from refrain.inference.local import LocalModel
    from refrain.inference.operations.scoring import TextScore


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


class DocumentFilter:
    """One run over a file.

    Parameters
    ----------
    options
        The flags of `refrain filter`.
    choose_model
        Returns the language model for a sample of the documents.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        source: DocumentFile,
        choose_model: Callable[[str], LocalModel],
    ) -> None:
        self._options = options
        self._source = source
        self._choose_model = choose_model
        self._limits = Limits(options.max_perplexity, options.max_unknown)
        self._num_kept = 0
        self._num_bad = 0

    def run(self) -> None:
        """Measure every document, and write those that are kept."""
        options = self._options
        documents = self._source.documents(skips_bad=options.skip_bad_lines)
        beginning, sample = beginning_of(documents)
        model = self._choose_model(sample)
        progress = FilterProgress(self._source.num_bytes)
        with ExitStack() as stack:
            stack.callback(progress.close)
            output = stack.enter_context(OutputFile(options.output))
            scores = stack.enter_context(OutputFile(options.scores)) if options.scores else None
            stamp = None if self._source.is_stream else self._source.stamp
            threshold = options.max_perplexity
            badness = array("d")
            everything = chain(beginning, documents)
            for document, score in scored(model, everything, count_end=options.count_end):
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
                    raise InputError(f"{options.input} changed while it was read; wrote nothing")
        progress.report(self._summary(progress, threshold))

    def _copy(self, badness: array[float], threshold: float, output: OutputFile) -> bool:
        """Read again, and write what is kept; return whether there were as many lines as before."""
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
