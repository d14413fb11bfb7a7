"""A document that a source yields, and what all sources do to its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from refrain.training.data.corpus import Split

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
LONG = 40
"""Characters from which on a repeated paragraph is boilerplate rather than a phrase that everybody uses."""


@dataclass(frozen=True)
class Document:
    """A text of a source.

    Attributes
    ----------
    id
        Its name in the source; the same in every version.
    text
        Its paragraphs, one a line.
    split
        The split that its source has put it in; None if the source has none.
    """

    id: str
    text: str
    split: Split | None = None

    @property
    def num_words(self) -> int:
        """The number of runs without white space."""
        return len(self.text.split())


def tidy(text: str) -> str:
    """Return a text with single spaces, none at its ends, and no control characters."""
    return _SPACE.sub(" ", text).strip()


class Repeats:
    """What a source has said already: manuals repeat whole paragraphs from page to page."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def without(self, paragraphs: Iterable[str]) -> list[str]:
        """Return paragraphs, without those said on this page, and without the long ones said on an earlier page."""
        kept = [paragraph for paragraph in dict.fromkeys(paragraphs) if paragraph not in self._seen]
        self._seen |= {paragraph for paragraph in kept if len(paragraph) >= LONG}
        return kept
