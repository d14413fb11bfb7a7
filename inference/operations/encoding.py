"""Text to token ids, within limits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from inference.engine.request import TextState
from inference.errors import TextTooLongError
from models.errors import InvalidParameterError
from models.tokenizer import EOS, UNK, Encoding, Tokenizer

NO_LIMIT = 1 << 62
NAMES = re.compile(f"({UNK}|{EOS})")
NAMES_AMONG_WORDS = re.compile(f"( ?{EOS})")
"""In "words" the tokenizer itself knows the unknown word, and a space before a name is no token."""


def encode(
    tokenizer: Tokenizer,
    text: str,
    *,
    max_tokens: int = NO_LIMIT,
    param: str = "text",
    with_names: bool = False,
) -> Encoding:
    """Tokenize a text; `with_names` the names of special tokens in it stand for these tokens.

    Raises
    ------
    TextTooLongError
        If it has more than `max_tokens` tokens.
    """
    encoding = _encode_with_names(tokenizer, text) if with_names else tokenizer.encode(text)
    if len(encoding.ids) > max_tokens:
        raise too_long(len(encoding.ids), max_tokens, param)
    return encoding


def too_long(num_tokens: int, max_tokens: int, param: str) -> TextTooLongError:
    """Return the refusal of a text of too many tokens."""
    return TextTooLongError(
        f"{param} has {num_tokens:,} tokens; the limit is {max_tokens:,}", param
    )


def require_valid(
    tokenizer: Tokenizer, ids: Sequence[int], param: str, max_tokens: int = NO_LIMIT
) -> None:
    """Refuse too many token ids, and those that are not in the vocabulary.

    Raises
    ------
    TextTooLongError
        If there are more than `max_tokens`.
    InvalidParameterError
        If one is not in the vocabulary.
    """
    if len(ids) > max_tokens:
        raise too_long(len(ids), max_tokens, param)
    size = tokenizer.vocab_size
    if ids and not (min(ids) >= 0 and max(ids) < size):
        raise InvalidParameterError(f"token ids go from 0 to {size - 1:,}", param)


def require_something_to_read(state: TextState | None, ids: Sequence[int], param: str) -> None:
    """Refuse to go on from the end of a text without a word more.

    Raises
    ------
    InvalidParameterError
        If the state's text has ended by itself and there are no ids.
    """
    if state is not None and not state.unread and not ids:
        raise InvalidParameterError("the text of this state has ended; give it more text", param)


def cut_blanks(tokenizer: Tokenizer, text: str) -> tuple[str, bool]:
    """Set the blanks at the end of a text of words aside, but for newlines; return whether there were any.

    In "words" a word brings the space before it, so that a space already typed belongs to the word to come.
    """
    if tokenizer.kind != "words":
        return text, False
    end = len(text)
    while end and text[end - 1].isspace() and text[end - 1] != "\n":
        end -= 1
    return text[:end], end < len(text)


def with_space(tokenizer: Tokenizer, text: str, *, is_inside: bool) -> str:
    """Return a text that goes on where another ends: words stand apart."""
    needs_space = is_inside and text[:1].isalnum() and tokenizer.kind != "characters"
    return f" {text}" if needs_space else text


def _encode_with_names(tokenizer: Tokenizer, text: str) -> Encoding:
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    begin = 0
    names = NAMES_AMONG_WORDS if tokenizer.kind == "words" else NAMES
    for number, part in enumerate(names.split(text)):
        if number % 2:
            ids.append(tokenizer.unk_id if part == UNK else tokenizer.eos_id)
            offsets.append((begin, begin + len(part)))
        else:
            encoding = tokenizer.encode(part)
            ids += encoding.ids
            offsets += [(begin + start, begin + end) for start, end in encoding.offsets]
        begin += len(part)
    return Encoding(ids, offsets, ids.count(tokenizer.unk_id))
