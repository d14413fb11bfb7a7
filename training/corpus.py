"""What a corpus is, and how a person's own text file becomes one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.errors import CorpusError, EmptyCorpusError, NotUtf8Error

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class TextCorpus:
    """Texts for language models.

    Attributes
    ----------
    documents
        The texts of each split.
    unit
        "documents": each text starts from a zero state. "stream": the texts follow one another, with a boundary
        between them and the state carried over.
    """

    documents: Mapping[Split, Sequence[str]]
    unit: Literal["documents", "stream"]


@dataclass(frozen=True)
class Example:
    """A labelled text; the label is an index of the corpus's `labels`."""

    text: str
    label: int


@dataclass(frozen=True)
class LabelledCorpus:
    """Labelled texts for classifiers.

    Attributes
    ----------
    label_scores
        Where each label lies from 0 (most negative) to 1 (most positive).
    """

    examples: Mapping[Split, Sequence[Example]]
    labels: tuple[str, ...]
    label_scores: tuple[float, ...]


def hash_of(corpus: TextCorpus | LabelledCorpus) -> str:
    """Give a SHA-256 that changes with any text, label, or split of a corpus."""
    digest = hashlib.sha256()
    splits = corpus.documents if isinstance(corpus, TextCorpus) else corpus.examples
    for split in sorted(splits):
        digest.update(f"{split} {len(splits[split])}\n".encode())
        for item in splits[split]:
            text, label = (item, 0) if isinstance(item, str) else (item.text, item.label)
            digest.update(f"{label} {len(text)} {text}\n".encode())
    return digest.hexdigest()


def read_text_file(path: Path) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark.

    Raises
    ------
    CorpusError
        If there is no such file.
    NotUtf8Error
        If it is in another encoding; the message says at which byte.
    EmptyCorpusError
        If there is nothing but white space in it.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = packed.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8Error(_not_utf8(path, packed, error.start)) from error
    if not text.strip():
        raise EmptyCorpusError(f"{path} holds no text")
    return text.replace("\r\n", "\n")


def _not_utf8(path: Path, packed: bytes, offset: int) -> str:
    """Say where a file is no UTF-8, and how to make it so."""
    line = packed.count(b"\n", 0, offset) + 1
    is_utf16 = packed.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding, hint = ("UTF-16", "") if is_utf16 else ("GB18030", " (or whatever it is in)")
    return (
        f"{path} is not UTF-8: byte {offset:,}, counted from 0, in line {line:,}, is 0x{packed[offset]:02x}; "
        f"convert it first: iconv -f {encoding} -t UTF-8 {path} > utf8.txt{hint}"
    )


def require_content(corpus: TextCorpus | LabelledCorpus) -> None:
    """Refuse a corpus that leaves nothing to learn from or to measure on.

    Raises
    ------
    EmptyCorpusError
        If a split has no text in it, or a label no example to learn it from.
    """
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        if isinstance(corpus, TextCorpus):
            is_empty = not any(text.strip() for text in corpus.documents.get(split, ()))
        else:
            is_empty = not corpus.examples.get(split)
        if is_empty:
            raise EmptyCorpusError(f"the corpus has no text in its {split} split")
    if isinstance(corpus, LabelledCorpus):
        seen = {example.label for example in corpus.examples["train"]}
        missing = [name for index, name in enumerate(corpus.labels) if index not in seen]
        if missing:
            raise EmptyCorpusError(
                f"the corpus has no train example labelled {', '.join(missing)}: a classifier cannot learn that"
            )


def split_text(
    text: str, *, validation_fraction: float = 0.05, test_fraction: float = 0.05
) -> TextCorpus:
    """Split a text to a beginning to train on and two ends to measure on, at line borders where there are some.

    Raises
    ------
    EmptyCorpusError
        If the text is too short to leave something in each part.
    """
    first = _border(text, round(len(text) * (1 - validation_fraction - test_fraction)))
    second = _border(text, max(first + 1, round(len(text) * (1 - test_fraction))))
    parts = (text[:first], text[first:second], text[second:])
    if not all(part.strip() for part in parts):
        raise EmptyCorpusError(
            f"the text is too short to train on: {len(text)} characters leave nothing to measure on when a twentieth "
            "is kept aside for validation and another for test; give at least a few lines"
        )
    train, validation, test = ([part.strip("\n")] for part in parts)
    return TextCorpus({"train": train, "validation": validation, "test": test}, unit="stream")


def _border(text: str, near: int) -> int:
    """Give the line border after `near`, if one comes soon; else `near` itself."""
    newline = text.find("\n", near, near + max(1, len(text) // 50))
    return near if newline < 0 else newline + 1
