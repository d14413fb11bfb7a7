"""What a text goes on from: a string or token ids, checked, as tokens and as characters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.engine.sequence import TextState
from app.services.encoding import (
    LONG_TEXT,
    encode_prompt,
    require_short,
    require_something_to_read,
)
from app.services.errors import InvalidParameterError
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """A prompt, perhaps after a state.

    Attributes
    ----------
    ids
        Tokens to read, after the boundary that every text begins with, or after the state.
    drops_space
        Whether the space before the first word to come is in the prompt already.
    num_given
        Tokens that were given, a boundary at the beginning counted.
    text
        The prompt as it was given, or as its token ids spell it, if that was asked for.
    places
        Where each token but a boundary at the beginning stands in it, in characters.
    names_boundary
        Whether the boundary at the beginning was given too.
    """

    ids: list[int]
    start: TextState | None
    drops_space: bool
    num_given: int
    text: str = ""
    places: tuple[int, ...] = ()
    names_boundary: bool = False

    @property
    def has_text(self) -> bool:
        """Whether anything comes before what is written."""
        return bool(self.ids) or self.start is not None

    def after(self, state: TextState | None) -> Prompt:
        """Give what is left to read after a state in which all of it has been scored."""
        return self if state is None else replace(self, ids=[], start=state)


async def read_prompt(
    tokenizer: Tokenizer,
    given: str | Sequence[int],
    start: TextState | None,
    *,
    max_tokens: int,
    with_names: bool = False,
    spells: bool = False,
    param: str = "prompt",
) -> Prompt:
    """Check a prompt, and tokenize it if it is a string; token ids are spelled if that is asked for.

    Raises
    ------
    InvalidParameterError
        If a token id is none of the vocabulary, or nothing is given where a text has ended.
    TextTooLongError
        If there are more than `max_tokens` tokens.
    """
    drops_space, text, offsets = False, "", []
    if isinstance(given, str):
        text = given
        encoding, drops_space = await encode_prompt(
            tokenizer, given, max_tokens=max_tokens, param=param, with_names=with_names
        )
        ids, offsets = encoding.ids, encoding.offsets
    else:
        require_short(len(given), max_tokens=max_tokens, param=param)
        require_known(tokenizer, given, param)
        ids = list(given)
        if spells:
            text, offsets = await spelled(tokenizer, ids)
    num_given = len(ids)
    names_boundary = start is None and ids[:1] == [tokenizer.eos_id]
    if names_boundary:
        ids, offsets = ids[1:], offsets[1:]
    require_something_to_read(start, ids, param)
    places = tuple(first for first, _ in offsets)
    return Prompt(ids, start, drops_space, num_given, text, places, names_boundary)


async def spelled(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Spell token ids, on another thread where that takes long; see `spell`."""
    if len(ids) > LONG_TEXT:
        return await asyncio.to_thread(spell, tokenizer, ids)
    return spell(tokenizer, ids)


def spell(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Give the text that token ids spell, and where in it each of them stands; the boundary spells nothing."""
    stream = tokenizer.stream()
    pieces, offsets, place = [], [], 0
    for token_id in ids:
        piece = stream.push([token_id])
        pieces.append(piece)
        offsets.append((place, place + len(piece)))
        place += len(piece)
    return "".join(pieces) + stream.finish(), offsets


def require_known(tokenizer: Tokenizer, ids: Sequence[int], param: str) -> None:
    """Refuse token ids that are none of the vocabulary.

    Raises
    ------
    InvalidParameterError
        If there is one.
    """
    size = tokenizer.vocab_size
    if ids and not (min(ids) >= 0 and max(ids) < size):
        raise InvalidParameterError(f"token ids go from 0 to {size - 1:,}", param)
