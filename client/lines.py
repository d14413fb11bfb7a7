"""Streams as they arrive: bytes to lines, lines to items. No input or output here."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from refrain.client.contract.answers.generation import Piece, StreamEnd
from refrain.client.contract.answers.scoring import Block, LineScore
from refrain.client.errors import ConnectionFailedError, UnexpectedAnswerError, error_of_detail
from refrain.client.parsing import read

Item = TypeVar("Item")
BROKE_OFF = "the stream broke off before its end"


class LineSplitter:
    """Cuts bytes at newlines alone: a text within a line may hold the other signs that end lines in Unicode."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def push(self, some: bytes) -> list[bytes]:
        """Return the lines that more bytes complete."""
        self._rest += some
        if b"\n" not in some:
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [stripped for line in lines if (stripped := line.strip(b"\r"))]


class LineReader(Generic[Item]):
    """Turns lines to items, and knows when the last has come."""

    def read(self, line: bytes) -> Item | None:
        """Return the item of a line; None where it holds none.

        Raises
        ------
        ClientError
            If the line holds one.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Take the end of the lines.

        Raises
        ------
        ConnectionFailedError
            If more should have come.
        """


class PieceReader(LineReader[Piece]):
    """Reads the server-sent events of `/generate`."""

    def __init__(self) -> None:
        self.end: StreamEnd | None = None
        self.end_json: dict[str, Any] | None = None
        self._is_done = False

    def read(self, line: bytes) -> Piece | None:
        name, _, data = line.partition(b":")
        if name != b"data":
            return None
        if data.strip() == b"[DONE]":
            self._is_done = True
            return None
        values = parsed(data)
        if "usage" in values:
            self.end = read(StreamEnd, values)
            self.end_json = values
            return None
        return read(Piece, values)

    def finish(self) -> None:
        if not self._is_done:
            raise ConnectionFailedError(BROKE_OFF)


class BlockReader(LineReader[Block]):
    """Reads the lines of `/score/stream` about one text."""

    def __init__(self) -> None:
        self._is_done = False

    def read(self, line: bytes) -> Block:
        block = read(Block, parsed(line))
        self._is_done = block.final
        return block

    def finish(self) -> None:
        if not self._is_done:
            raise ConnectionFailedError(BROKE_OFF)


class LineScoreReader(LineReader[LineScore]):
    """Reads the lines of `/score/stream` about lines."""

    def read(self, line: bytes) -> LineScore:
        values = parsed(line, is_line=True)
        if "error" in values:
            return LineScore(line=values["line"], error=error_of_detail(values["error"]))
        return read(LineScore, values)


def parsed(data: bytes, *, is_line: bool = False) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ClientError
        If it holds one, other than of a single line; or if it is not an object.
    """
    try:
        values = json.loads(data)
    except ValueError as error:
        raise UnexpectedAnswerError("a line of the stream is not JSON") from error
    if not isinstance(values, dict):
        raise UnexpectedAnswerError("a line of the stream is not a JSON object")
    if "error" in values and not (is_line and "line" in values):
        raise error_of_detail(values["error"])
    return values
