"""What may come next: the likeliest tokens, those that go on typed letters, and given candidates."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.engine.sequence import Looked, TextState
from app.services.encoding import encode_prompt, require_something_to_read
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel
from app.services.state_token import StateTokens
from app.settings import Settings
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prediction:
    """A token or candidate with its probability over the whole vocabulary."""

    token: str
    probability: float
    logprob: float


@dataclass(frozen=True)
class NextToken:
    """What may follow one prefix; entropy in nats."""

    predictions: list[Prediction]
    entropy: float
    candidates: list[Prediction] | None
    state: TextState | None


@dataclass(frozen=True)
class NextTokenOptions:
    """What a caller may ask for; see the route's schema."""

    model: str | None = None
    top_k: int = 10
    starts_with: str = ""
    candidates: Sequence[str] | None = None
    state: str | None = None
    wants_state: bool = False
    caller: str = ""


class NextTokenService:
    """Predicts the next token."""

    def __init__(self, states: StateTokens, settings: Settings) -> None:
        self._states = states
        self._settings = settings

    async def predict(
        self, prefixes: Sequence[str], options: NextTokenOptions
    ) -> tuple[LoadedLanguageModel, list[NextToken]]:
        """Predict what follows each prefix; gives the model too.

        Raises
        ------
        ServiceError
            For an unknown model, too many or too long texts.
        EngineError
            If the queue is full or the engine has stopped.
        """
        candidates = options.candidates
        num_texts = len(prefixes) * (1 + len(candidates or ()))
        if num_texts > self._settings.max_texts:
            raise InvalidParameterError(
                f"prefixes and candidates make {num_texts} texts; at most {self._settings.max_texts}",
                "candidates" if candidates else "prefix",
            )
        loaded, start = self._states.resolve(
            options.model, "".join(prefixes) or options.starts_with, options.state
        )
        loaded.engine.admit(num_texts)
        if len(prefixes) == 1:
            return loaded, [await self._predict_one(loaded, prefixes[0], start, options)]
        results = await asyncio.gather(
            *(self._predict_one(loaded, prefix, start, options) for prefix in prefixes)
        )
        return loaded, list(results)

    async def _predict_one(
        self,
        loaded: LoadedLanguageModel,
        prefix: str,
        start: TextState | None,
        options: NextTokenOptions,
    ) -> NextToken:
        tokenizer = loaded.checkpoint.tokenizer
        ids, has_space = await encode_prompt(
            tokenizer, prefix, max_tokens=self._settings.max_prompt_tokens, param="prefix"
        )
        require_something_to_read(start, ids, "prefix")
        looked = await loaded.engine.look(
            ids, start=start, caller=options.caller, wants_state=options.wants_state
        )
        log_probs_V = looked.log_probs
        is_inside = bool(ids) or has_space or start is not None
        scored = None
        if options.candidates is not None:
            scored = [
                await _score_candidate(
                    loaded, Context(ids, start, options.caller, is_inside), looked, candidate
                )
                for candidate in options.candidates
            ]
        starts_with = options.starts_with
        allowed = loaded.words.starting_with(starts_with) if starts_with else None
        return NextToken(
            predictions=_top(tokenizer, log_probs_V, options.top_k, allowed),
            entropy=max(0.0, -float(np.exp(log_probs_V) @ log_probs_V)),
            candidates=scored,
            state=looked.state,
        )


def _top(
    tokenizer: Tokenizer, log_probs_V: NDArray[np.float32], top_k: int, allowed: list[int] | None
) -> list[Prediction]:
    """Give the k likeliest of the allowed tokens, likeliest first, equal ones by id."""
    if allowed is not None:
        ids = np.array(sorted(allowed), dtype=np.int64)
    elif top_k < len(log_probs_V):
        kth = np.partition(log_probs_V, -top_k)[-top_k] if top_k else np.inf
        ids = np.flatnonzero(log_probs_V >= kth)
    else:
        ids = np.arange(len(log_probs_V))
    order = np.argsort(-log_probs_V[ids], kind="stable")[:top_k]
    return [_prediction(tokenizer.surface(int(i)), float(log_probs_V[i])) for i in ids[order]]


def _prediction(token: str, logprob: float) -> Prediction:
    return Prediction(token, math.exp(logprob), logprob)


@dataclass(frozen=True)
class Context:
    """What a candidate follows; `is_inside` tells that a word there has a space before it."""

    ids: list[int]
    start: TextState | None
    caller: str
    is_inside: bool


async def _score_candidate(
    loaded: LoadedLanguageModel, context: Context, looked: Looked, candidate: str
) -> Prediction:
    """Give a candidate's probability, by the chain rule where it has several tokens."""
    tokenizer = loaded.checkpoint.tokenizer
    text = candidate
    if tokenizer.kind == "words" and candidate[:1].isalnum() and context.is_inside:
        text = " " + candidate
    tokens = tokenizer.encode(text).ids
    if not tokens:
        raise InvalidParameterError("a candidate is empty", "candidates")
    logprob = float(looked.log_probs[tokens[0]])
    if len(tokens) > 1:
        scored = await loaded.engine.score(
            [*context.ids, *tokens], start=context.start, caller=context.caller
        )
        logprob += math.fsum(scored.logprobs[-(len(tokens) - 1) :])
    return _prediction(candidate, logprob)
