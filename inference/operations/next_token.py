"""What may come next: the likeliest tokens, those that go on typed letters, and given candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from refrain.inference.engine.request import Predicted, Request, Scored, TextState
from refrain.inference.operation import Operation, gather, predicted, scored
from refrain.inference.operations.prompt import Prompt
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.sampling import Bounds, check_bounds
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.text.tokenizer import Tokenizer

MAX_TOP = 128
"""Most of the likeliest tokens that the engine itself puts in order."""
MAX_CANDIDATE = 1_000
"""Longest candidate, in characters."""

BOUNDS: dict[str, Bounds] = {"top_k": {"ge": 0, "le": 1_000_000}}

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


@dataclass(frozen=True)
class NextToken(Plain):
    """What may follow one prefix; entropy in nats."""

    hidden = frozenset({"state"})

    predictions: list[Prediction]
    entropy: float
    candidates: list[Prediction] | None = None
    state: TextState | None = None


@dataclass(frozen=True)
class NextQuery(Plain):
    """What is asked of the next token, by the names of `POST /next`.

    Attributes
    ----------
    top_k
        How many predictions are reported, likeliest first.
    starts_with
        Letters of the word under way.
    candidates
        Words or texts whose probability is reported too.
    normalize
        "candidates": probabilities are those among the candidates alone, each of one token, which is several times as
        fast.

    Raises
    ------
    InvalidParameterError
        If `top_k` is out of bounds, candidates are to be compared and none are given, or one is too long.
    """

    top_k: int = 10
    starts_with: str = ""
    candidates: Sequence[str] | None = None
    normalize: Literal["vocabulary", "candidates"] = "vocabulary"
    return_state: bool = False

    def __post_init__(self) -> None:
        check_bounds(self, BOUNDS)
        if self.normalize == "candidates" and self.candidates is None:
            message = "normalize among candidates needs candidates"
            raise InvalidParameterError(message, "candidates")
        longest = max(map(len, self.candidates or ()), default=0)
        if longest > MAX_CANDIDATE:
            raise InvalidParameterError(
                f"a candidate has {longest:,} characters; the limit is {MAX_CANDIDATE:,}",
                "candidates",
            )

    @property
    def num_top(self) -> int:
        """The likeliest tokens to ask the engine for: one more than is reported, since `<unk>` is left out."""
        return 0 if self.starts_with or self.top_k > MAX_TOP else self.top_k + 1


TEN_LIKELIEST = NextQuery()


def predict_next(
    model: TextModel, prompt: Prompt, query: NextQuery, cache: CacheView | None = None
) -> Operation[NextToken]:
    """Predict what follows a prefix.

    Raises
    ------
    InvalidParameterError
        For a candidate without a token; among candidates also for one of several tokens, or that is unknown.
    """
    candidates = query.candidates
    is_inside = prompt.is_inside
    spellings = [
        _spellings(model.tokenizer, each, is_inside=is_inside) for each in candidates or ()
    ]
    if query.normalize == "candidates":
        return (yield from _compare(model, prompt, query, spellings, cache))
    is_top_enough = bool(query.num_top) and candidates is None
    is_any_long = any(len(ids) > 1 for each in spellings for ids in each)
    want = Want(
        top=query.num_top,
        distribution=not is_top_enough,
        state=query.return_state or is_any_long,
    )
    found = yield from predicted(
        Request(Purpose.PREDICT, prompt.ids, prompt.start, want=want, cache=cache)
    )
    scores = None
    if candidates is not None:
        scores = yield from gather(
            _score_candidate(model, found, candidate, each, cache)
            for candidate, each in zip(candidates, spellings, strict=True)
        )
    return NextToken(
        predictions=_best_predictions(model, found, query),
        entropy=found.entropy,
        candidates=scores,
        state=found.state if query.return_state else None,
    )


def _compare(
    model: TextModel,
    prompt: Prompt,
    query: NextQuery,
    spellings: Sequence[Spellings],
    cache: CacheView | None,
) -> Operation[NextToken]:
    """Predict candidates among themselves; no other token's probability is computed, unless a cache blends it."""
    assert query.candidates is not None
    compared = _compared_tokens(model.tokenizer, query.candidates, spellings)
    found = yield from predicted(
        Request(
            Purpose.PREDICT,
            prompt.ids,
            prompt.start,
            want=Want(state=query.return_state),
            candidates=() if cache else compared,
            cache=cache,
        )
    )
    log_probs = _among(compared, found)
    exact = log_probs.astype(np.float64)
    by_token = dict(zip(compared, log_probs.tolist(), strict=True))
    unk_id = model.tokenizer.unk_id
    return NextToken(
        predictions=[],
        entropy=max(0.0, -float((np.exp(exact) * exact).sum())),
        candidates=[
            _best_spelling(each, [(ids, by_token[ids[0]]) for ids in ways if len(ids) == 1], unk_id)
            for each, ways in zip(query.candidates, spellings, strict=True)
        ],
        state=found.state if query.return_state else None,
    )


def _score_candidate(
    model: TextModel,
    found: Predicted,
    candidate: str,
    spellings: Spellings,
    cache: CacheView | None,
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
    return _best_spelling(candidate, ways, model.tokenizer.unk_id)


def _spellings(tokenizer: Tokenizer, candidate: str, *, is_inside: bool) -> Spellings:
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


def _compared_tokens(
    tokenizer: Tokenizer, candidates: Sequence[str], spellings: Sequence[Spellings]
) -> list[int]:
    """Return the tokens of candidates that are to be compared with one another.

    Raises
    ------
    InvalidParameterError
        If a candidate takes more than one token, or is not in the vocabulary.
    """
    for candidate, each in zip(candidates, spellings, strict=True):
        if all(tokenizer.unk_id in ids for ids in each):
            raise InvalidParameterError(
                f"{candidate[:50]!r} is not in the vocabulary; what is unknown cannot be compared",
                "candidates",
            )
        if all(len(ids) > 1 for ids in each):
            raise InvalidParameterError(
                f"{candidate[:50]!r} is more than one token of this model; only single tokens are compared "
                "among themselves",
                "candidates",
            )
    return sorted({ids[0] for each in spellings for ids in each if len(ids) == 1})


def _among(compared: Sequence[int], found: Predicted) -> NDArray[np.float32]:
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


def _best_spelling(
    candidate: str, ways: Sequence[tuple[list[int], float]], unk_id: int
) -> Prediction:
    """Return a candidate's probability in its likeliest spelling."""
    logprob, is_unknown = max((logprob, unk_id in ids) for ids, logprob in ways)
    return Prediction(candidate, math.exp(logprob), logprob, is_unknown)


def _best_predictions(model: TextModel, found: Predicted, query: NextQuery) -> list[Prediction]:
    """Return the k likeliest tokens, likeliest first, equal ones by id; `<unk>` only where every token is wanted."""
    tokenizer, top_k = model.tokenizer, query.top_k
    if found.top and not query.starts_with:
        known = [(i, logprob) for i, logprob in found.top if i != tokenizer.unk_id]
        return [_prediction(tokenizer.surface(i), logprob) for i, logprob in known[:top_k]]
    log_probs_V = found.log_probs
    assert log_probs_V is not None
    if query.starts_with:
        ids = np.array(sorted(model.words.starting_with(query.starts_with)), dtype=np.int64)
    else:
        ids = np.arange(len(log_probs_V))
        if top_k < len(log_probs_V):
            ids = ids[ids != tokenizer.unk_id]
    order = np.argsort(-log_probs_V[ids], kind="stable")[:top_k]
    return [_prediction(tokenizer.surface(int(i)), float(log_probs_V[i])) for i in ids[order]]


def _prediction(token: str, logprob: float) -> Prediction:
    return Prediction(token, math.exp(logprob), logprob)
