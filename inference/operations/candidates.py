"""Candidates for the next token: how each may be spelled in tokens, and how probable it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refrain.inference.engine.request import Predicted, Request, Scored
from refrain.inference.operation import Operation, scored
from refrain.inference.plain import Plain
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.structures import Purpose
from refrain.models.text.tokenizer import Tokenizer

Spellings = list[list[int]]
"""The ways a candidate may stand there as tokens."""


@dataclass(frozen=True)
class Prediction(Plain):
    """A token or candidate with its probability over the whole vocabulary.

    `unknown` marks a candidate with a word that the vocabulary lacks: its probability is that of any such word.
    """

    token: str
    probability: float
    logprob: float
    unknown: bool = False


def spellings_of(tokenizer: Tokenizer, candidate: str, *, is_inside: bool) -> Spellings:
    """Return the ways a candidate may stand there as tokens: a word after a space, a sign with or without one.

    Raises
    ------
    InvalidParameterError
        If the candidate has no token at all.
    """
    texts = [candidate]
    if tokenizer.kind == "words" and is_inside and candidate and not candidate[0].isspace():
        spaced = " " + candidate
        texts = [spaced] if candidate[0].isalnum() else [candidate, spaced]
    spellings = [ids for text in texts if (ids := tokenizer.encode(text).ids)]
    if not spellings:
        raise InvalidParameterError("a candidate is empty", "candidates")
    return spellings


def score_candidate(
    found: Predicted, candidate: str, spellings: Spellings, cache: CacheView | None, unk_id: int
) -> Operation[Prediction]:
    """Return a candidate's probability in its likeliest spelling; what follows its first token is scored."""
    assert found.log_probs is not None
    ways = []
    for ids in spellings:
        logprobs = [float(found.log_probs[ids[0]])]
        if len(ids) > 1:
            score = yield from scored(Request(Purpose.SCORE, ids, found.state, cache=cache))
            logprobs += _blended(score, cache)[1:]
        ways.append((ids, math.fsum(logprobs)))
    return likeliest_spelling(candidate, ways, unk_id)


def comparable_tokens(
    unk_id: int, candidates: Sequence[str], spellings: Sequence[Spellings]
) -> list[int]:
    """Return the tokens of candidates that are to be compared with one another; each must be one known token.

    Raises
    ------
    InvalidParameterError
        If a candidate takes more than one token, or is not in the vocabulary.
    """
    for candidate, each in zip(candidates, spellings, strict=True):
        if all(unk_id in ids for ids in each):
            message = (
                f"{candidate[:50]!r} is not in the vocabulary; what is unknown cannot be compared"
            )
            raise InvalidParameterError(message, "candidates")
        if all(len(ids) > 1 for ids in each):
            raise InvalidParameterError(
                f"{candidate[:50]!r} is more than one token of this model; only single tokens are compared "
                "among themselves",
                "candidates",
            )
    return sorted({ids[0] for each in spellings for ids in each if len(ids) == 1})


def log_probs_among(compared: Sequence[int], found: Predicted) -> NDArray[np.float32]:
    """Return the log-probabilities of compared tokens among themselves, from a prediction of them or of all tokens."""
    log_probs = found.log_probs
    assert log_probs is not None
    if len(log_probs) == len(compared):
        return log_probs
    chosen = log_probs[compared]
    largest = chosen.max()
    normalised: NDArray[np.float32] = chosen - largest - np.log(np.exp(chosen - largest).sum())
    return normalised


def _blended(found: Scored, cache: CacheView | None) -> list[float]:
    """Return the log-probabilities of a score as a cache of this weight would have them."""
    if cache is None or found.cache_probs is None or not cache.weight:
        return [*found.logprobs]
    model = np.exp(np.array(found.logprobs))
    blend: list[float] = np.log(
        (1 - cache.weight) * model + cache.weight * found.cache_probs
    ).tolist()
    return blend


def likeliest_spelling(
    candidate: str, ways: Sequence[tuple[list[int], float]], unk_id: int
) -> Prediction:
    """Return a candidate's probability in its likeliest spelling."""
    logprob, is_unknown = max((logprob, unk_id in ids) for ids, logprob in ways)
    return Prediction(candidate, math.exp(logprob), logprob, is_unknown)
