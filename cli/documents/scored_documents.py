"""Documents with their scores: read ahead as far as slots and memory allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from refrain.cli.documents.document_file import Document
from refrain.models.text.language import recognise_language

if TYPE_CHECKING:
    from refrain.inference.local import LocalModel
    from refrain.inference.operations.scoring import TextScore

MAX_BYTES_AHEAD = 1 << 26
"""Bytes of documents that may wait for the score of one before them."""


def scored(
    model: LocalModel, documents: Iterable[Document], *, count_end: bool
) -> Iterator[tuple[Document, TextScore]]:
    """Yield each document with its score, in order; one without a text has the score of an empty one."""
    from refrain.inference.operations.scoring import ScoreParams

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


def beginning_of(documents: Iterator[Document]) -> tuple[list[Document], str]:
    """Take documents up to the first whose language can be recognised; return its text too."""
    beginning: list[Document] = []
    num_bytes = 0
    for document in documents:
        beginning.append(document)
        num_bytes += len(document.line) + 1_000
        if recognise_language(document.text) or num_bytes > MAX_BYTES_AHEAD:
            return beginning, document.text
    return beginning, ""
