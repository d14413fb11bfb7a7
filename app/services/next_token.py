"""What may come next: the likeliest tokens, those that go on typed letters, and given candidates."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.services.encoding import encode_prompt
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel, Registry
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


class NextTokenService:
    """Predicts the next token."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    async def predict(
        self,
        prefixes: Sequence[str],
        *,
        model: str | None,
        top_k: int,
        starts_with: str,
        candidates: Sequence[str] | None,
    ) -> tuple[str, list[NextToken]]:
        """Predict what follows each prefix; gives the model's name too.

        Raises
        ------
        ServiceError
            For an unknown model, too many or too long texts.
        EngineError
            If the queue is full or the engine has stopped.
        """
        num_texts = len(prefixes) * (1 + len(candidates or ()))
        if num_texts > self._settings.max_texts:
            raise InvalidParameterError(
                f"prefixes and candidates make {num_texts} texts; at most {self._settings.max_texts}",
                "candidates" if candidates else "prefix",
            )
        loaded = self._registry.language_model(model, "".join(prefixes) or starts_with)
        loaded.engine.admit(num_texts)
        results = await asyncio.gather(
            *(self._predict_one(loaded, p, top_k, starts_with, candidates) for p in prefixes)
        )
        return loaded.checkpoint.name, list(results)

    async def _predict_one(
        self,
        loaded: LoadedLanguageModel,
        prefix: str,
        top_k: int,
        starts_with: str,
        candidates: Sequence[str] | None,
    ) -> NextToken:
        tokenizer = loaded.checkpoint.tokenizer
        ids, has_space = await encode_prompt(
            tokenizer, prefix, max_tokens=self._settings.max_prompt_tokens, param="prefix"
        )
        log_probs_V = await loaded.engine.next(ids)
        allowed = loaded.words.starting_with(starts_with) if starts_with else None
        scored = None
        if candidates is not None:
            scored = [
                await _score_candidate(loaded, ids, log_probs_V, candidate, has_space=has_space)
                for candidate in candidates
            ]
        probabilities_V = np.exp(log_probs_V.astype(np.float64))
        return NextToken(
            predictions=_top(tokenizer, log_probs_V, top_k, allowed),
            entropy=max(0.0, -float(probabilities_V @ log_probs_V)),
            candidates=scored,
        )


def _top(
    tokenizer: Tokenizer, log_probs_V: NDArray[np.float32], top_k: int, allowed: list[int] | None
) -> list[Prediction]:
    """Give the k likeliest of the allowed tokens, likeliest first, equal ones by id."""
    ids = np.arange(len(log_probs_V)) if allowed is None else np.array(sorted(allowed), dtype=int)
    order = np.argsort(-log_probs_V[ids], kind="stable")[:top_k]
    return [_prediction(tokenizer.surface(int(i)), float(log_probs_V[i])) for i in ids[order]]


def _prediction(token: str, logprob: float) -> Prediction:
    return Prediction(token, math.exp(logprob), logprob)


async def _score_candidate(
    loaded: LoadedLanguageModel,
    ids: list[int],
    log_probs_V: NDArray[np.float32],
    candidate: str,
    *,
    has_space: bool,
) -> Prediction:
    """Give a candidate's probability, by the chain rule where it has several tokens."""
    tokenizer = loaded.checkpoint.tokenizer
    text = candidate
    if tokenizer.kind == "words" and candidate[:1].isalnum() and (ids or has_space):
        text = " " + candidate
    tokens = tokenizer.encode(text).ids
    if not tokens:
        raise InvalidParameterError("a candidate is empty", "candidates")
    logprob = float(log_probs_V[tokens[0]])
    if len(tokens) > 1:
        scored = await loaded.engine.score([*ids, *tokens])
        logprob += math.fsum(scored.logprobs[len(ids) + 1 :])
    return _prediction(candidate, logprob)
