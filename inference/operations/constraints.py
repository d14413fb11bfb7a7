"""Biases and allowed tokens by their text, as the native step takes them: by id, and `<unk>` never."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.text.tokenizer import Tokenizer

Biases = Mapping[str, float] | Mapping[int, float]


def constrained(
    sampling: SamplingParams,
    tokenizer: Tokenizer,
    logit_bias: Biases,
    allowed: Sequence[str] | None,
) -> SamplingParams:
    """Return how tokens are chosen where some are favoured, banned or alone allowed, besides what is so already.

    Parameters
    ----------
    logit_bias
        Added to logits, by a token's text or by its id.
    allowed
        Texts of the only tokens, and the end, that may be written; None allows all.

    Raises
    ------
    InvalidParameterError
        If a text is not one token, or an id not in the vocabulary.
    """
    given = [(_token_id(tokenizer, t, "logit_bias"), value) for t, value in logit_bias.items()]
    biases = (*sampling.logit_bias, *given, (tokenizer.unk_id, -math.inf))
    bits = sampling.allowed if allowed is None else _bits(tokenizer, allowed)
    return replace(sampling, logit_bias=biases, allowed=bits)


def _token_id(tokenizer: Tokenizer, text: str | int, param: str) -> int:
    if isinstance(text, int):
        if 0 <= text < tokenizer.vocab_size:
            return text
        raise InvalidParameterError(f"token ids go from 0 to {tokenizer.vocab_size - 1:,}", param)
    token_id = tokenizer.id_of(text)
    if token_id is None:
        raise InvalidParameterError(f"{text[:50]!r} is not one token of this model", param)
    return token_id


def _bits(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return a bit for each token, set for those of the texts and the end."""
    bits = np.zeros(tokenizer.vocab_size // 64 + 1, np.uint64)
    ids = np.array([tokenizer.eos_id, *(_token_id(tokenizer, t, "allowed") for t in texts)])
    np.bitwise_or.at(bits, ids // 64, np.uint64(1) << (ids % 64).astype(np.uint64))
    return bits
