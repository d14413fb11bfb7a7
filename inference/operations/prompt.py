"""What a text goes on from: a string or token ids, checked, as tokens and as characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refrain.inference.engine.request import TextState
from refrain.inference.operations.encoding import (
    NO_LIMIT,
    encode,
    require_something_to_read,
    require_valid,
)
from refrain.models.text.decode_stream import cut_blanks, spell
from refrain.models.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """A prompt, perhaps after a state.

    Attributes
    ----------
    ids
        Tokens to read, after the `<eos>` that every text begins with, or after the state.
    drops_space
        Whether the space before the first word to come is in the prompt already.
    num_given
        Tokens that were given, an `<eos>` at the beginning counted.
    text
        The prompt as it was given, or as its token ids spell it, if that was asked for.
    offsets
        Where each token begins in it, in characters; without an `<eos>` at the beginning.
    names_eos
        Whether an `<eos>` at the beginning was given.
    """

    ids: Sequence[int]
    start: TextState | None = None
    drops_space: bool = False
    num_given: int = 0
    text: str = ""
    offsets: Sequence[int] = ()
    names_eos: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether a word to come stands inside a text, so that a space belongs before it."""
        return bool(self.ids) or self.start is not None or self.drops_space


def read_prompt(
    tokenizer: Tokenizer,
    given: str | Sequence[int],
    start: TextState | None = None,
    *,
    max_tokens: int = NO_LIMIT,
    with_names: bool = False,
    spells: bool = False,
    param: str = "prompt",
) -> Prompt:
    """Check a prompt, and tokenize it if it is a string; token ids are spelled if that is asked for.

    Raises
    ------
    InvalidParameterError
        If a token id is not in the vocabulary, or nothing is given where a text has ended.
    TextTooLongError
        If there are more than `max_tokens` tokens.
    """
    drops_space = False
    if isinstance(given, str):
        text, (shorter, drops_space) = given, cut_blanks(tokenizer, given)
        encoding = encode(
            tokenizer, shorter, max_tokens=max_tokens, param=param, with_names=with_names
        )
        ids, offsets = list(encoding.ids), encoding.offsets
    else:
        require_valid(tokenizer, given, param, max_tokens)
        ids = list(given)
        text, offsets = spell(tokenizer, ids) if spells else ("", [])
    num_given = len(ids)
    names_eos = start is None and ids[:1] == [tokenizer.eos_id]
    if names_eos:
        ids, offsets = ids[1:], offsets[1:]
    if start is not None:
        require_something_to_read(start, ids, param)
    begins = [first for first, _ in offsets]
    return Prompt(ids, start, drops_space, num_given, text, begins, names_eos)
