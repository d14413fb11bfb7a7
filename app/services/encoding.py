"""Text to token ids, off the event loop where it takes long, and within limits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from app.engine.sequence import TextState
from app.services.errors import InvalidParameterError, TextTooLongError
from models.tokenizer import Encoding, Tokenizer

LONG_TEXT = 2_000
"""Characters above which a text is tokenized on another thread."""


async def encode(tokenizer: Tokenizer, text: str, *, max_tokens: int, param: str) -> Encoding:
    """Tokenize a text.

    Raises
    ------
    TextTooLongError
        If it has more than `max_tokens` tokens.
    """
    if len(text) > LONG_TEXT:
        encoding = await asyncio.to_thread(tokenizer.encode, text)
    else:
        encoding = tokenizer.encode(text)
    if len(encoding.ids) > max_tokens:
        raise TextTooLongError(
            f"{param} has {len(encoding.ids):,} tokens; the limit is {max_tokens:,}", param
        )
    return encoding


async def encode_prompt(
    tokenizer: Tokenizer, text: str, *, max_tokens: int, param: str
) -> tuple[list[int], bool]:
    """Tokenize a text that is to be gone on with: its ids, and whether a space at its end was set aside.

    In "words" a word brings the space before it, so that a space already typed belongs to the word to come.
    """
    shorter, has_space = cut_blanks(tokenizer, text)
    encoding = await encode(tokenizer, shorter, max_tokens=max_tokens, param=param)
    return encoding.ids, has_space


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
