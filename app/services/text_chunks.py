"""Chunks of a text as they arrive, cut anew: into parts that can be tokenized alone, or into lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from refrain.inference.errors import TextTooLongError
from refrain.models.text.text_borders import split_tail
from refrain.models.text.tokenizer import Tokenizer

BLOCK = 16_384
"""Characters that are cut together: where a text is cut depends on it alone, and not on how it arrives."""


async def settled_parts(chunks: AsyncIterator[str], tokenizer: Tokenizer) -> AsyncIterator[str]:
    """Yield the text in parts whose tokens nothing to come can change; the last is the word under way."""
    held = tail = ""
    async for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK:
            settled, tail = split_tail(tokenizer, tail + held[:BLOCK])
            held = held[BLOCK:]
            yield settled
    for part in split_tail(tokenizer, tail + held):
        yield part


async def lines_of(chunks: AsyncIterator[str], max_length: int) -> AsyncGenerator[str, None]:
    """Yield the lines of a text without their ends; one of over `max_length` characters is a `TextTooLongError`."""
    rest = ""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            yield line.removesuffix("\r")
        if len(rest) > max_length:
            raise TextTooLongError(f"a line has over {max_length:,} characters", "line")
    if rest:
        yield rest


async def chained(first: str, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield a chunk that was taken already, and those after it."""
    yield first
    async for chunk in chunks:
        yield chunk
