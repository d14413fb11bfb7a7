"""Text to token ids, within limits."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.inference.engine.request import TextState
from refrain.inference.errors import TextTooLongError
from refrain.models.errors import InvalidParameterError
from refrain.models.text.text_borders import encode_with_names
from refrain.models.text.tokenizer import Encoding, Tokenizer

NO_LIMIT = 1 << 62


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
    encoding = encode_with_names(tokenizer, text) if with_names else tokenizer.encode(text)
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
