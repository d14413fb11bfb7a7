"""A person's own text file, read in blocks: it may be larger than memory."""

from __future__ import annotations

import codecs
import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from refrain.models.text.pieces import last_border
from refrain.training.errors import CorpusError, EmptyCorpusError, NotUtf8Error

BLOCK = 1 << 20
"""Bytes read at once."""

SNIFFED = 1 << 16
"""Bytes read on each side of the first that is not UTF-8."""

SURELY_UTF8 = 8
"""Bytes beyond ASCII before it, of which more are UTF-8 by no accident."""


@dataclass(frozen=True)
class TextFile:
    """A UTF-8 text file, with or without a byte-order mark; a line may end with CR and LF, which count as LF.

    Attributes
    ----------
    num_characters
        Its length, without the mark and those CR.
    sha256
        Of its bytes.
    marks
        Offsets from which it can be read: (characters before, bytes before), in order.
    """

    path: Path
    num_characters: int
    sha256: str
    marks: tuple[tuple[int, int], ...]

    @classmethod
    def scan(cls, path: Path) -> TextFile:
        """Read a file once, to know its length and that it is text.

        Raises
        ------
        CorpusError
            If there is no such file.
        NotUtf8Error
            If it is in another encoding; the message says at which byte.
        EmptyCorpusError
            If there is nothing but white space in it.
        """
        marks: list[tuple[int, int]] = []
        num_characters, is_blank = 0, True
        try:
            with path.open("rb") as file:
                for offset, text in _decoded(file, 0):
                    marks.append((num_characters, offset))
                    num_characters += len(text)
                    is_blank = is_blank and not text.strip()
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
        if is_blank:
            raise EmptyCorpusError(f"{path} holds no text")
        return cls(path, num_characters, sha256, tuple(marks))

    def read(self, first: int = 0, last: int | None = None) -> str:
        """Return the characters from `first` to before `last`."""
        return "".join(self.characters(first, self.num_characters if last is None else last))

    def characters(self, first: int, last: int) -> Iterator[str]:
        """Yield the characters from `first` to before `last`, a block at a time."""
        at, offset = self.marks[bisect_right(self.marks, first, key=lambda mark: mark[0]) - 1]
        with self.path.open("rb") as file:
            file.seek(offset)
            for _, text in _decoded(file, offset):
                piece = text[max(0, first - at) : max(0, last - at)]
                if piece:
                    yield piece
                at += len(text)
                if at >= last:
                    return


def _decoded(file: BinaryIO, offset: int) -> Iterator[tuple[int, str]]:
    """Yield blocks of text and the byte at which each begins; neither a character nor the end of a line is cut."""
    rest, is_last = b"", False
    while not is_last:
        block = file.read(BLOCK)
        is_last = not block
        packed = rest + block
        try:
            text, used = codecs.utf_8_decode(packed, "strict", is_last)
        except UnicodeDecodeError as error:
            raise NotUtf8Error(_not_utf8(file.name, offset + error.start)) from error
        if text.endswith("\r") and not is_last:
            text, used = text[:-1], used - 1
        if offset == 0:
            text = text.removeprefix("\ufeff")
        yield offset, text.replace("\r\n", "\n")
        offset, rest = offset + used, packed[used:]


def _not_utf8(path: str, offset: int) -> str:
    """Describe where a file is not UTF-8, and how to make it so."""
    with Path(path).open("rb") as file:
        file.seek(max(0, offset - SNIFFED))
        before, after = file.read(min(offset, SNIFFED)), file.read(SNIFFED)
        file.seek(0)
        num_before = sum(
            file.read(min(BLOCK, offset - at)).count(b"\n") for at in range(0, offset, BLOCK)
        )
    return (
        f"{path} is not UTF-8: byte {offset:,}, counted from 0, in line {num_before + 1:,}, is 0x{after[0]:02x}; "
        f"{_remedy(before, after, path)}"
    )


def _remedy(before: bytes, after: bytes, path: str) -> str:
    """Guess what a file is, from the bytes before the first that is wrong, which are UTF-8, and from it on.

    Many characters beyond ASCII that happen to be UTF-8 are so by no accident. Else: most bytes of a Chinese text are
    no ASCII, few of a European one.
    """
    if not before and after.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"convert it first: iconv -f UTF-16 -t UTF-8 {path} > utf8.txt"
    if _num_high(before) > SURELY_UTF8:
        return (
            f"before, it is: drop what is damaged with iconv -c -f UTF-8 -t UTF-8 {path} > utf8.txt"
        )
    encoding = "GB18030" if _num_high(after) > len(after) / 3 else "WINDOWS-1252"
    return (
        f"convert it first: iconv -f {encoding} -t UTF-8 {path} > utf8.txt (or whatever it is in)"
    )


def _num_high(block: bytes) -> int:
    return sum(byte >= 0x80 for byte in block)


@dataclass(frozen=True)
class TextPart:
    """The characters of a file from `first` to before `last`."""

    file: TextFile
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def read(self) -> str:
        """Return the part whole."""
        return self.file.read(self.first, self.last)

    def is_blank(self) -> bool:
        """Return whether there is nothing but white space in it."""
        return not any(text.strip() for text in self.file.characters(self.first, self.last))

    def blocks(self) -> Iterator[str]:
        """Yield the part in blocks that no token reaches across, unless a line has no white space for long."""
        rest = ""
        for text in self.file.characters(self.first, self.last):
            text = rest + text
            border = last_border(text)
            yield text[:border]
            rest = text[border:]
        if rest:
            yield rest

    def without_newlines(self) -> TextPart:
        """Return the part without the newlines that it begins and ends with."""
        first, last = self.first, self.last
        for text in self.file.characters(first, last):
            kept = text.lstrip("\n")
            first += len(text) - len(kept)
            if kept:
                break
        is_open = True
        while is_open and last > first:
            text = self.file.read(max(first, last - BLOCK), last)
            last -= len(text) - len(text.rstrip("\n"))
            is_open = text.endswith("\n") and not text.strip("\n")
        return TextPart(self.file, first, last)
