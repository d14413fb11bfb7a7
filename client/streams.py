"""Iterators over answers that come in parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from refrain.client.contract.answers.generation import Piece, StreamEnd
from refrain.client.errors import ClientError
from refrain.client.lines import LineReader, PieceReader

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """An iterator over the items of an answer that comes in parts.

    The request is sent when the first item is asked for. It ends with the last item, with `close()`, at the end of a
    `with` block, or when nobody holds the iterator any more; the server then stops working for it.
    """

    def __init__(self, lines: Generator[bytes, None, None], reader: LineReader[Item]) -> None:
        self._lines = lines
        self._reader = reader
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            for line in self._lines:
                if (item := self._reader.read(line)) is not None:
                    return item
            if not self._is_closed:
                self._reader.finish()
        except ClientError:
            self.close()
            raise
        raise StopIteration

    def close(self) -> None:
        """End the request."""
        self._is_closed = True
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStream(Generic[Item]):
    """What `Stream` is, for an event loop: `async for`, `async with`, `aclose()`."""

    def __init__(self, lines: AsyncGenerator[bytes, None], reader: LineReader[Item]) -> None:
        self._lines = lines
        self._reader = reader
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            async for line in self._lines:
                if (item := self._reader.read(line)) is not None:
                    return item
            if not self._is_closed:
                self._reader.finish()
        except ClientError:
            await self.aclose()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the request."""
        self._is_closed = True
        await self._lines.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Ending:
    """The end of a stream of text."""

    _reader: PieceReader

    @property
    def end(self) -> StreamEnd | None:
        """Model, seed and usage, once the last piece has come."""
        return self._reader.end

    @property
    def end_json(self) -> dict[str, Any] | None:
        """The JSON object of `end` as the server sent it."""
        return self._reader.end_json


class TextStream(_Ending, Stream[Piece]):
    """The pieces of a text while it is being written."""

    _reader: PieceReader


class AsyncTextStream(_Ending, AsyncStream[Piece]):
    """The pieces of a text while it is being written."""

    _reader: PieceReader
