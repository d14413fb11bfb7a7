"""Chunks of a text, cut anew: the parts and the lines of the whole, however it arrives."""

import asyncio

import pytest

from refrain.app.services import text_chunks
from refrain.app.services.text_chunks import chained, lines_of, settled_parts
from refrain.inference.errors import TextTooLongError
from refrain.models.checkpoint import load_checkpoint

TEXT = "The old cat sat on the mat. The dog didn't sit, and the cat saw it.\n" * 3


async def pieces(text: str, size: int):
    for first in range(0, len(text), size):
        yield text[first : first + size]


def everything(chunks) -> list[str]:
    async def collect() -> list[str]:
        return [chunk async for chunk in chunks]

    return asyncio.run(collect())


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_settled_parts_have_the_tokens_of_the_whole(checkpoints, monkeypatch, size) -> None:
    monkeypatch.setattr(text_chunks, "BLOCK", 20)
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    parts = everything(settled_parts(pieces(TEXT, size), tokenizer))
    assert "".join(parts) == TEXT
    assert len(parts) > len(TEXT) // 20
    ids = [token for part in parts for token in tokenizer.encode(part).ids]
    assert ids == list(tokenizer.encode(TEXT).ids)
    assert parts == everything(settled_parts(pieces(TEXT, 3), tokenizer))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_lines_are_those_of_the_whole_without_their_ends(size) -> None:
    lines = everything(lines_of(pieces("one\r\n\ntwo\u2028half\nlast", size), 100))
    assert lines == ["one", "", "two\u2028half", "last"]


def test_a_line_over_the_limit_is_refused_before_its_end() -> None:
    with pytest.raises(TextTooLongError, match="over 5 characters"):
        everything(lines_of(pieces("one\n" + "x" * 100, 2), 5))


def test_a_chunk_that_was_taken_comes_first() -> None:
    assert everything(chained("a", pieces("bc", 1))) == ["a", "b", "c"]
