"""The running text of an HTML page: its headings and paragraphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Literal

from refrain.training.data.packages.document import tidy

Role = Literal["block", "skip", "inline"]
Classify = Callable[[str, Mapping[str, str]], Role]
"""From a tag and its attributes to what it is: a block of text of its own, nothing to read, or part of a block."""

_EMPTY = frozenset(
    ("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr")
)


def html_blocks(page: str, classify: Classify) -> list[str]:
    """Return the text of each block of a page, in the order in which they begin; text outside blocks is left out."""
    parser = _Blocks(classify)
    parser.feed(page)
    parser.close()
    return [text for text in (tidy("".join(pieces)) for pieces in parser.blocks) if text]


class _Blocks(HTMLParser):
    """Collects the pieces of text of each block."""

    def __init__(self, classify: Classify) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[list[str]] = []
        self._classify = classify
        self._outside: list[str] = []
        self._skipped: list[str] = []
        self._open: list[tuple[str, list[str]]] = [("", self._outside)]
        """Open tags, each with the list that text in it goes to."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = self._open[-1][1]
        if tag in _EMPTY:
            target.append(" " if tag == "br" else "")
            return
        role = self._classify(tag, {name: value or "" for name, value in attrs})
        if role == "skip" or target is self._skipped:
            target = self._skipped
        elif role == "block":
            target = []
            self.blocks.append(target)
        self._open.append((tag, target))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Leave out a tag without content."""

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1][1].append(data)
