"""Text to token ids, off the event loop where it takes long, and within limits."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable

from app.engine.sequence import TextState
from app.services.errors import InvalidParameterError, TextTooLongError
from models.tokenizer import EOS, UNK, Encoding, Tokenizer

LONG_TEXT = 2_000
"""Characters above which a text is tokenized on another thread."""


NAMES = re.compile(f"({UNK}|{EOS})")
NAMES_AMONG_WORDS = re.compile(f"( ?{EOS})")
"""In "words" the tokenizer itself knows the unknown word, and a space before a name is no token."""


async def encode(tokenizer: Tokenizer, text: str, *, max_tokens: int, param: str) -> Encoding:
    """Tokenize a text.

    Raises
    ------
    TextTooLongError
        If it has more than `max_tokens` tokens.
    """
    return await _encode(tokenizer.encode, text, max_tokens=max_tokens, param=param)


async def encode_with_names(
    tokenizer: Tokenizer, text: str, *, max_tokens: int, param: str
) -> Encoding:
    """Tokenize a text in which the names of special tokens stand for these tokens.

    Raises
    ------
    TextTooLongError
        If it has more than `max_tokens` tokens.
    """
    return await _encode(
        lambda text: _with_names(tokenizer, text), text, max_tokens=max_tokens, param=param
    )


async def _encode(
    tokenize: Callable[[str], Encoding], text: str, *, max_tokens: int, param: str
) -> Encoding:
    if len(text) > LONG_TEXT:
        encoding = await asyncio.to_thread(tokenize, text)
    else:
        encoding = tokenize(text)
    require_short(len(encoding.ids), max_tokens=max_tokens, param=param)
    return encoding


def require_short(num_tokens: int, *, max_tokens: int, param: str) -> None:
    """Refuse a text of too many tokens.

    Raises
    ------
    TextTooLongError
        If there are more than `max_tokens`.
    """
    if num_tokens > max_tokens:
        raise TextTooLongError(
            f"{param} has {num_tokens:,} tokens; the limit is {max_tokens:,}", param
        )


def _with_names(tokenizer: Tokenizer, text: str) -> Encoding:
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    place = 0
    names = NAMES_AMONG_WORDS if tokenizer.kind == "words" else NAMES
    for number, part in enumerate(names.split(text)):
        if number % 2:
            ids.append(tokenizer.unk_id if part == UNK else tokenizer.eos_id)
            offsets.append((place, place + len(part)))
        else:
            encoding = tokenizer.encode(part)
            ids += encoding.ids
            offsets += [(place + start, place + end) for start, end in encoding.offsets]
        place += len(part)
    return Encoding(ids, offsets, ids.count(tokenizer.unk_id))


async def encode_prompt(
    tokenizer: Tokenizer, text: str, *, max_tokens: int, param: str, with_names: bool = False
) -> tuple[Encoding, bool]:
    """Tokenize a text that is to be gone on with; tell whether a space at its end was set aside.

    In "words" a word brings the space before it, so that a space already typed belongs to the word to come.
    """
    shorter, has_space = cut_blanks(tokenizer, text)
    tokenize = encode_with_names if with_names else encode
    return await tokenize(tokenizer, shorter, max_tokens=max_tokens, param=param), has_space


def cut_blanks(tokenizer: Tokenizer, text: str) -> tuple[str, bool]:
    """Set the blanks at the end of a text of words aside, but for newlines; tell whether there were any."""
    if tokenizer.kind != "words":
        return text, False
    end = len(text)
    while end and text[end - 1].isspace() and text[end - 1] != "\n":
        end -= 1
    return text[:end], end < len(text)


def without_unknown(
    tokenizer: Tokenizer, biases: Iterable[tuple[int, float]] = ()
) -> tuple[tuple[int, float], ...]:
    """Give biases with which `<unk>` is never written."""
    return (*biases, (tokenizer.unk_id, -math.inf))


def require_something_to_read(state: TextState | None, ids: list[int], param: str) -> None:
    """Refuse to go on from the end of a text without a word more.

    Raises
    ------
    InvalidParameterError
        If the state's text has ended by itself and there are no ids.
    """
    if state is not None and not state.unread and not ids:
        raise InvalidParameterError("the text of this state has ended; give it more text", param)
