"""What may come next: the likeliest tokens, those that go on typed letters, and given candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from refrain.inference.engine.request import Predicted, Request, TextState
from refrain.inference.operation import Operation, gather, predicted
from refrain.inference.operations.candidates import (
    Prediction,
    Spellings,
    comparable_tokens,
    likeliest_spelling,
    log_probs_among,
    score_candidate,
    spellings_of,
)
from refrain.inference.operations.prompt import Prompt
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.sampling import Bounds, check_bounds
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want

MAX_TOP = 128
"""Most of the likeliest tokens that the engine itself puts in order."""
MAX_CANDIDATE = 1_000
"""Longest candidate, in characters."""

BOUNDS: dict[str, Bounds] = {"top_k": {"ge": 0, "le": 1_000_000}}


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
            message = f"a candidate has {longest:,} characters; the limit is {MAX_CANDIDATE:,}"
            raise InvalidParameterError(message, "candidates")

    @property
    def num_top(self) -> int:
        """The likeliest tokens to ask the engine for: one more than is reported, since `<unk>` is left out."""
        return 0 if self.starts_with or self.top_k > MAX_TOP else self.top_k + 1


TOP_TEN = NextQuery()


def predict_next(
    model: TextModel, prompt: Prompt, query: NextQuery, cache: CacheView | None = None
) -> Operation[NextToken]:
    """Predict what follows a prefix.

    Raises
    ------
    InvalidParameterError
        For a candidate without a token; among candidates also for one of several tokens, or that is unknown.
    """
    candidates, is_inside, unk_id = query.candidates or (), prompt.is_inside, model.tokenizer.unk_id
    spellings = [spellings_of(model.tokenizer, each, is_inside=is_inside) for each in candidates]
    if query.normalize == "candidates":
        return (yield from _compare(model, prompt, query, spellings, cache))
    is_any_long = any(len(ids) > 1 for each in spellings for ids in each)
    is_top_enough = bool(query.num_top) and query.candidates is None
    wants_state = query.return_state or is_any_long
    want = Want(top=query.num_top, distribution=not is_top_enough, state=wants_state)
    request = Request(Purpose.PREDICT, prompt.ids, prompt.start, want=want, cache=cache)
    found = yield from predicted(request)
    scores = None
    if query.candidates is not None:
        pairs = zip(candidates, spellings, strict=True)
        scores = yield from gather(score_candidate(found, *pair, cache, unk_id) for pair in pairs)
    state = found.state if query.return_state else None
    return NextToken(_best_predictions(model, found, query), found.entropy, scores, state)


def _compare(
    model: TextModel,
    prompt: Prompt,
    query: NextQuery,
    spellings: Sequence[Spellings],
    cache: CacheView | None,
) -> Operation[NextToken]:
    """Predict candidates among themselves; no other token's probability is computed, unless a cache blends it."""
    assert query.candidates is not None
    unk_id = model.tokenizer.unk_id
    compared = comparable_tokens(unk_id, query.candidates, spellings)
    want, among = Want(state=query.return_state), () if cache else compared
    found = yield from predicted(
        Request(Purpose.PREDICT, prompt.ids, prompt.start, want=want, candidates=among, cache=cache)
    )
    log_probs = log_probs_among(compared, found)
    exact = log_probs.astype(np.float64)
    entropy = max(0.0, -float((np.exp(exact) * exact).sum()))
    by_token = dict(zip(compared, log_probs.tolist(), strict=True))
    predictions = []
    for candidate, ways in zip(query.candidates, spellings, strict=True):
        single = [(ids, by_token[ids[0]]) for ids in ways if len(ids) == 1]
        predictions.append(likeliest_spelling(candidate, single, unk_id))
    return NextToken([], entropy, predictions, found.state if query.return_state else None)


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
