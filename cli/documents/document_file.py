"""Documents as they are read, one a line: plain text, or JSON with the text in a field; gzip for names in .gz."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from refrain.cli.documents.paths import STANDARD, is_special, refuse_zstandard
from refrain.cli.documents.texts import MAX_LINE, InputError, decoded

Unit = Literal["line", "jsonl"]


@dataclass(frozen=True)
class Document:
    """One line of a file.

    Attributes
    ----------
    number
        From 1.
    line
        Its bytes, with its end.
    text
        What is to be measured.
    fault
        Why it has no text; empty for one that has.
    """

    number: int
    line: bytes
    text: str
    fault: str = ""


class DocumentFile:
    """A file that may be read several times, or a stream, which may be read once: standard input, a pipe.

    Parameters
    ----------
    field
        The field of a JSON line that holds the text.
    """

    def __init__(self, path: Path, unit: Unit, field: str) -> None:
        refuse_zstandard(path)
        self.path = path
        self.is_stream = path == STANDARD or is_special(path)
        self._unit = unit
        self._field = field
        self._raw: BinaryIO | None = None

    @property
    def num_bytes(self) -> int | None:
        """How large the file is, as it is stored."""
        return self.path.stat().st_size if self.path.is_file() else None

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, as it is stored; 0 for a stream."""
        if self._raw is None or self.is_stream:
            return 0
        return self._raw.tell() if not self._raw.closed else self.num_bytes or 0

    @property
    def stamp(self) -> tuple[int, int]:
        """What changes when the file does."""
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns

    def documents(self, *, skips_bad: bool) -> Iterator[Document]:
        """Yield every line as a document.

        Raises
        ------
        InputError
            Naming the first line that has no text, unless such lines are skipped: then they come with their fault.
        """
        for number, line in enumerate(self.lines(), start=1):
            try:
                yield Document(number, line, self._text(line, number))
            except InputError as error:
                if not skips_bad:
                    raise InputError(
                        f"{self.path}: {error}; --skip-bad-lines goes on without it"
                    ) from error
                yield Document(number, b"", "", str(error))

    def lines(self) -> Iterator[bytes]:
        """Yield every line with its end; of one that is too long only the beginning.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        if self.path == STANDARD:
            yield from _whole_lines(sys.stdin.buffer)
            return
        with self._opened() as self._raw:
            if self.path.suffix != ".gz":
                yield from _whole_lines(self._raw)
                return
            try:
                yield from _whole_lines(gzip.GzipFile(fileobj=self._raw))
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise InputError(f"{self.path}: is not a complete gzip file: {error}") from error

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror}") from error

    def _text(self, line: bytes, number: int) -> str:
        if len(line) > MAX_LINE:
            raise InputError(f"line {number} has over {MAX_LINE:,} bytes")
        text = decoded(line, number)
        return text if self._unit == "line" else self._field_of(text, number)

    def _field_of(self, text: str, number: int) -> str:
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number} is not JSON ({error})") from error
        found = values.get(self._field) if isinstance(values, dict) else None
        if not isinstance(found, str):
            raise InputError(f"line {number} has no text in the field {self._field!r}")
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"line {number} has half of a surrogate pair") from error
        return found


def _whole_lines(stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE + 1)
        yield line
