"""Where the texts of a command come from: its arguments, or standard input, one a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from refrain.models.errors import RefrainError
from refrain.models.text.language import recognise_language

AT_ONCE = 1 << 20
"""Bytes of standard input that are taken together, if so many are there."""
MAX_LINE = 1 << 25
"""Bytes of the longest line."""
SAMPLED = 500
"""Characters of each text by which the model is chosen."""


class InputError(RefrainError, ValueError):
    """A text, file or flag that a command cannot take."""


def text_batches(given: Sequence[str], max_texts: int) -> Iterator[list[str]]:
    """Yield the texts of the arguments; without any, the lines of standard input as they come.

    The first batch is enough to recognise the language by: it ends with the first line that has letters.
    """
    batches = iter([[*given]]) if given else _beginning_first(line_batches(sys.stdin.buffer))
    for batch in batches:
        for first in range(0, len(batch), max_texts):
            yield batch[first : first + max_texts]


def sample_of(texts: Sequence[str]) -> str:
    """Return the beginnings of texts, by which their language is recognised."""
    return "".join(text[:SAMPLED] for text in texts)


def is_typed() -> bool:
    """Return whether standard input is a person at a terminal."""
    return sys.stdin.isatty()


def line_batches(stream: BinaryIO) -> Iterator[list[str]]:
    """Yield the lines of a stream, all that are there at a time, without waiting for more.

    Raises
    ------
    InputError
        Naming the line, if it is not UTF-8 or too long.
    """
    rest: list[bytes] = []
    number = 0
    while chunk := stream.read1(AT_ONCE):  # type: ignore[attr-defined]
        if b"\n" in chunk:
            *lines, last = (b"".join(rest) + chunk).split(b"\n")
            rest = [last]
            yield [decoded(line, number + index) for index, line in enumerate(lines, start=1)]
            number += len(lines)
        else:
            rest.append(chunk)
        if sum(map(len, rest)) > MAX_LINE:
            raise InputError(f"line {number + 1} has over {MAX_LINE:,} bytes")
    if any(rest):
        yield [decoded(b"".join(rest), number + 1)]


def decoded(line: bytes, number: int) -> str:
    """Read a line as UTF-8, without its end.

    Raises
    ------
    InputError
        Naming the line, if it is something else.
    """
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"line {number} is not UTF-8 (byte {error.start + 1} of it); convert the text, for example with iconv"
        ) from error
    return text.removesuffix("\n").removesuffix("\r")


def _beginning_first(batches: Iterator[list[str]]) -> Iterator[list[str]]:
    beginning: list[str] = []
    for batch in batches:
        for index, line in enumerate(batch, start=1):
            beginning.append(line)
            if recognise_language(line):
                yield beginning
                yield batch[index:]
                yield from batches
                return
    if beginning:
        yield beginning
