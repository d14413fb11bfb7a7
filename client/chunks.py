"""Texts of any length on their way to a server: strings, files, and iterables of pieces of text."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from functools import partial
from typing import IO, Any

CHUNK = 65_536
"""Characters or bytes that are sent together."""
Chunks = str | bytes | IO[str] | IO[bytes] | Iterable[str] | Iterable[bytes]
"""A text, a file open for reading, or pieces of a text, which may be cut anywhere."""
AsyncChunks = Chunks | AsyncIterable[str] | AsyncIterable[bytes]


def is_whole(text: AsyncChunks) -> bool:
    """Return whether a text is at hand as a whole, so that it can be sent twice."""
    return isinstance(text, str | bytes)


def encoded(text: Chunks) -> Iterator[bytes]:
    """Encode a text as UTF-8, piece by piece; none is empty."""
    for piece in _pieces(text):
        packed = _packed(piece)
        if packed:
            yield packed


async def async_encoded(text: AsyncChunks) -> AsyncIterator[bytes]:
    """Encode a text as UTF-8, piece by piece, from either kind of iterable."""
    if isinstance(text, AsyncIterable):
        async for piece in text:
            if packed := _packed(piece):
                yield packed
        return
    for packed in encoded(text):
        yield packed


def _packed(piece: str | bytes) -> bytes:
    return piece.encode() if isinstance(piece, str) else piece


def _pieces(text: Any) -> Iterator[str | bytes]:
    if isinstance(text, str | bytes):
        return (text[first : first + CHUNK] for first in range(0, len(text), CHUNK))
    if hasattr(text, "read"):
        return iter(partial(text.read, CHUNK), text.read(0))
    return iter(text)
