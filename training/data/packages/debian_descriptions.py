"""Descriptions of Debian's packages, from the index `Translation-en`: a document is the description of a package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.packages.archive import read_text_file
from refrain.training.data.packages.document import Document, Repeats, tidy

BOILERPLATE = 3
"""A paragraph that so many packages have is left out of all of them."""


def read_descriptions(index: Path) -> Iterator[Document]:
    """Yield the one-line synopsis and the paragraphs of each package that has a paragraph of its own."""
    described = dict(_descriptions(read_text_file(index)))
    counts = Counter(
        paragraph for _, paragraphs in described.values() for paragraph in set(paragraphs)
    )
    repeats = Repeats()
    for name, (synopsis, paragraphs) in described.items():
        own = repeats.without(each for each in paragraphs if counts[each] < BOILERPLATE)
        if own:
            yield Document(name, "\n".join((synopsis, *own)))


def _descriptions(index: str) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """Yield package, synopsis and paragraphs of each block of the index."""
    for block in index.split("\n\n"):
        name, synopsis, body = "", "", []
        for line in block.splitlines():
            if line.startswith("Package: "):
                name = line.removeprefix("Package: ")
            elif line.startswith("Description-en: "):
                synopsis = tidy(line.removeprefix("Description-en: "))
            elif line.startswith(" "):
                body.append(line[1:])
        if name and synopsis:
            yield name, (synopsis, _paragraphs(body))


def _paragraphs(body: list[str]) -> list[str]:
    """Join wrapped lines; ` .` ends a paragraph, and a line that is indented further begins one, as in a list."""
    paragraphs: list[list[str]] = [[]]
    for line in body:
        if line.strip() == ".":
            paragraphs.append([])
        elif line.startswith(" ") and line.lstrip().startswith(("*", "-", "+", "o ")):
            paragraphs.append([line])
        else:
            paragraphs[-1].append(line)
    return [text for text in (tidy(" ".join(lines)) for lines in paragraphs) if text]
