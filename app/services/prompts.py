"""What a text goes on from: a string or token ids, checked, as tokens and as characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.sequence import TextState
from app.services.encoding import encode_prompt, require_short, require_something_to_read
from app.services.errors import InvalidParameterError
from models.tokenizer import Encoding, Tokenizer


@dataclass(frozen=True)
class Prompt:
    """A prompt, perhaps after a state.

    Attributes
    ----------
    ids
        Its tokens, after the boundary that every text begins with.
    drops_space
        Whether the space before the first word to come is in the prompt already.
    text
        The prompt as it was given, or as its token ids spell it.
    places
        Where each token begins in it, in characters.
    names_boundary
        Whether the boundary at the beginning was given too.
    """

    ids: list[int]
    start: TextState | None
    drops_space: bool
    text: str
    places: list[int]
    names_boundary: bool

    @property
    def has_text(self) -> bool:
        """Whether anything comes before what is written."""
        return bool(self.ids) or self.start is not None

    @property
    def num_given(self) -> int:
        """Tokens that were given."""
        return len(self.ids) + self.names_boundary


async def read_prompt(
    tokenizer: Tokenizer,
    given: str | Sequence[int],
    start: TextState | None,
    *,
    max_tokens: int,
    with_names: bool = False,
    param: str = "prompt",
) -> Prompt:
    """Check a prompt, and tokenize it if it is a string.

    Raises
    ------
    InvalidParameterError
        If a token id is none of the vocabulary, or nothing is given where a text has ended.
    TextTooLongError
        If there are more than `max_tokens` tokens.
    """
    if isinstance(given, str):
        text = given
        encoding, drops_space = await encode_prompt(
            tokenizer, given, max_tokens=max_tokens, param=param, with_names=with_names
        )
    else:
        drops_space = False
        require_short(len(given), max_tokens=max_tokens, param=param)
        encoding, text = spell(tokenizer, given, param)
    ids, places = encoding.ids, [first for first, _ in encoding.offsets]
    names_boundary = start is None and ids[:1] == [tokenizer.eos_id]
    if names_boundary:
        ids, places = ids[1:], places[1:]
    require_something_to_read(start, ids, param)
    return Prompt(ids, start, drops_space, text, places, names_boundary)


def spell(tokenizer: Tokenizer, ids: Sequence[int], param: str) -> tuple[Encoding, str]:
    """Give the text that token ids spell, and where in it each of them stands; the boundary spells nothing.

    Raises
    ------
    InvalidParameterError
        If one of them is none of the vocabulary.
    """
    require_known(tokenizer, ids, param)
    stream = tokenizer.stream()
    text, offsets = "", []
    for token_id in ids:
        first = len(text)
        text += stream.push([token_id])
        offsets.append((first, len(text)))
    return Encoding(list(ids), offsets, 0), text + stream.finish()


def require_known(tokenizer: Tokenizer, ids: Sequence[int], param: str) -> None:
    """Refuse token ids that are none of the vocabulary.

    Raises
    ------
    InvalidParameterError
        If there is one.
    """
    size = tokenizer.vocab_size
    wrong = next((token_id for token_id in ids if not 0 <= token_id < size), None)
    if wrong is not None:
        message = f"there is no token {wrong}; they go from 0 to {size - 1:,}"
        raise InvalidParameterError(message, param)
