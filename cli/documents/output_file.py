"""Files that documents are written to: there whole or not at all; gzip where the name ends in .gz."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from refrain.cli.documents.paths import STANDARD, is_special, refuse_zstandard
from refrain.cli.documents.texts import InputError


class OutputFile:
    """A file that is there whole or not at all: written beside its path, and moved there at the end.

    What is not a regular file, such as a pipe, is written to as it is; "-" is standard output.
    """

    def __init__(self, path: Path) -> None:
        refuse_zstandard(path)
        self._path = path
        self._partial: Path | None = None
        try:
            if path == STANDARD:
                self._raw: BinaryIO = sys.stdout.buffer
            elif is_special(path):
                self._raw = path.open("wb")
            else:
                self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
                self._raw = self._partial.open("wb")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        self._stream: BinaryIO | gzip.GzipFile = self._raw
        if path.suffix == ".gz":
            self._stream = gzip.GzipFile("", "wb", compresslevel=6, fileobj=self._raw, mtime=0)

    def write(self, line: bytes) -> None:
        """Add a line."""
        self._stream.write(line)

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._raw is not sys.stdout.buffer:
                self._raw.close()
            if self._partial:
                self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._stream is not self._raw:
            self._stream.close()
        self._raw.flush()
        if self._partial:
            os.fsync(self._raw.fileno())
            os.replace(self._partial, self._path)
