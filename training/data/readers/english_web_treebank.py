"""The English Web Treebank of Universal Dependencies, as text: mail, forums, reviews, questions, weblogs."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from refrain.training.data.corpus import Split
from refrain.training.data.packages.document import Document

FILES: dict[Split, str] = {
    "train": "ud-english-ewt/en_ewt-ud-train.conllu.gz",
    "validation": "ud-english-ewt/en_ewt-ud-dev.conllu",
    "test": "ud-english-ewt/en_ewt-ud-test.conllu",
}


def read_web_treebank(*files: Path) -> Iterator[Document]:
    """Yield the documents of the three files of `FILES`, a paragraph a line, with their mistakes in spelling kept."""
    for split, path in zip(FILES, files, strict=True):
        is_packed = path.suffix == ".gz"
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if is_packed
            else path.open("r", encoding="utf-8") as lines
        ):
            for name, text in documents_of(lines):
                yield Document(name, text, split)


def documents_of(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield id and text of each document of a file in the format CoNLL-U."""
    name, paragraphs = "", list[list[str]]()
    for line in lines:
        key, _, value = line.strip().partition(" = ")
        if key == "# newdoc id":
            if paragraphs:
                yield name, _joined(paragraphs)
            name, paragraphs = value, []
        elif key.startswith("# newpar"):
            paragraphs.append([])
        elif key == "# text":
            if not paragraphs:
                paragraphs.append([])
            paragraphs[-1].append(value)
    if paragraphs:
        yield name, _joined(paragraphs)


def _joined(paragraphs: list[list[str]]) -> str:
    return "\n".join(" ".join(sentences) for sentences in paragraphs if sentences)
