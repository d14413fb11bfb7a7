"""What may come next: the likeliest tokens, those that go on typed letters, and given candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.engine.sequence import Looked, Scored, TextState
from app.services.encoding import encode_prompt, require_something_to_read
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel, WordIndex
from app.services.state_token import StateTokens
from app.services.together import together
from app.settings import Settings
from models.native.sequence import CacheView
from models.tokenizer import Tokenizer

MAX_PREDICTIONS = 20_000
"""Most predictions of a request with several prefixes; one prefix may have the whole vocabulary's."""


MAX_TOP = 128
"""Most of the likeliest tokens that the engine itself puts in order."""
MAX_CANDIDATE = 1_000
"""Longest candidate, in characters."""


@dataclass(frozen=True)
class Prediction:
    """A token or candidate with its probability over the whole vocabulary.

    `is_unknown` marks a candidate with a word that the vocabulary lacks: its probability is that of any such word.
    """

    token: str
    probability: float
    logprob: float
    is_unknown: bool = False


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
    among_candidates: bool = False
    state: str | None = None
    wants_state: bool = False
    caller: str = ""
    cache: CacheView | None = None


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
        num_predictions = len(prefixes) * options.top_k
        if len(prefixes) > 1 and num_predictions > MAX_PREDICTIONS:
            raise InvalidParameterError(
                f"{len(prefixes)} prefixes x top_k {options.top_k} are more than {MAX_PREDICTIONS:,} predictions",
                "top_k",
            )
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
            return loaded, [await self.predict_after(loaded, prefixes[0], start, options)]
        results = await together(
            self.predict_after(loaded, prefix, start, options) for prefix in prefixes
        )
        return loaded, results

    async def predict_after(
        self,
        loaded: LoadedLanguageModel,
        prefix: str,
        start: TextState | None,
        options: NextTokenOptions,
    ) -> NextToken:
        """Predict what follows a prefix that goes on from a state.

        Raises
        ------
        ServiceError
            For too long a prefix or candidate, or nothing to go on from.
        EngineError
            If the queue is full or the engine has stopped.
        """
        tokenizer = loaded.checkpoint.tokenizer
        encoding, has_space = await encode_prompt(
            tokenizer, prefix, max_tokens=self._settings.max_prompt_tokens, param="prefix"
        )
        ids = encoding.ids
        require_something_to_read(start, ids, "prefix")
        candidates = options.candidates
        is_inside = bool(ids) or has_space or start is not None
        self._check_lengths(candidates or ())
        spellings = [
            spellings_of(tokenizer, candidate, is_inside=is_inside)
            for candidate in candidates or ()
        ]
        if options.among_candidates:
            return await self._compare(loaded, ids, start, spellings, options)
        num_top = num_top_of(options.top_k, starts_with=options.starts_with)
        looked = await loaded.engine.look(
            ids,
            start=start,
            caller=options.caller,
            num_top=num_top,
            only_top=bool(num_top) and candidates is None,
            wants_state=options.wants_state or any(len(s) > 1 for each in spellings for s in each),
            cache=options.cache,
        )
        scored = None
        if candidates is not None:
            pairs = zip(candidates, spellings, strict=True)
            scored = await together(
                _score_candidate(loaded, looked, candidate, each, options)
                for candidate, each in pairs
            )
        return NextToken(
            predictions=best_predictions(
                tokenizer, looked, options.top_k, loaded.words, options.starts_with
            ),
            entropy=looked.entropy,
            candidates=scored,
            state=looked.state if options.wants_state else None,
        )

    async def _compare(
        self,
        loaded: LoadedLanguageModel,
        ids: list[int],
        start: TextState | None,
        spellings: list[list[list[int]]],
        options: NextTokenOptions,
    ) -> NextToken:
        """Give the candidates' probabilities among themselves; no other token's is computed."""
        assert options.candidates is not None
        tokenizer = loaded.checkpoint.tokenizer
        compared = compared_tokens(tokenizer, options.candidates, spellings)
        looked = await loaded.engine.look(
            ids,
            start=start,
            caller=options.caller,
            candidates=() if options.cache else compared,
            cache=options.cache,
            wants_state=options.wants_state,
        )
        log_probs = among(compared, looked)
        return NextToken(
            predictions=[],
            entropy=entropy_of(log_probs),
            candidates=compared_predictions(
                options.candidates,
                spellings,
                dict(zip(compared, log_probs.tolist(), strict=True)),
                tokenizer.unk_id,
            ),
            state=looked.state if options.wants_state else None,
        )

    def _check_lengths(self, candidates: Sequence[str]) -> None:
        longest = max(map(len, candidates), default=0)
        if longest > MAX_CANDIDATE:
            raise InvalidParameterError(
                f"a candidate has {longest:,} characters; the limit is {MAX_CANDIDATE:,}",
                "candidates",
            )


def spellings_of(tokenizer: Tokenizer, candidate: str, *, is_inside: bool) -> list[list[int]]:
    """Give the ways a candidate may stand there as tokens: a word after a space, a sign with or without one.

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


def compared_tokens(
    tokenizer: Tokenizer,
    candidates: Sequence[str],
    spellings: Sequence[Sequence[Sequence[int]]],
) -> list[int]:
    """Give the tokens of candidates that are to be compared with one another.

    Raises
    ------
    InvalidParameterError
        If a candidate takes more than one token, or is none of the vocabulary.
    """
    for candidate, each in zip(candidates, spellings, strict=True):
        if all(tokenizer.unk_id in tokens for tokens in each):
            raise InvalidParameterError(
                f"{candidate[:50]!r} is not in the vocabulary; what is unknown cannot be compared",
                "candidates",
            )
        if all(len(tokens) > 1 for tokens in each):
            raise InvalidParameterError(
                f"{candidate[:50]!r} is more than one token of this model; only single tokens are compared "
                "among themselves",
                "candidates",
            )
    return sorted({tokens[0] for each in spellings for tokens in each if len(tokens) == 1})


def among(compared: Sequence[int], looked: Looked) -> NDArray[np.float32]:
    """Give the log-probabilities of compared tokens among themselves, from a look at them or at all tokens."""
    log_probs = looked.log_probs
    assert log_probs is not None
    if len(log_probs) == len(compared):
        return log_probs
    chosen = log_probs[compared]
    largest = chosen.max()
    normalised: NDArray[np.float32] = chosen - largest - np.log(np.exp(chosen - largest).sum())
    return normalised


def compared_predictions(
    candidates: Sequence[str],
    spellings: Sequence[Sequence[Sequence[int]]],
    logprobs: Mapping[int, float],
    unk_id: int,
) -> list[Prediction]:
    """Give each candidate's probability among the compared tokens, in its likeliest spelling."""
    found = []
    for candidate, each in zip(candidates, spellings, strict=True):
        single = [([*tokens], [logprobs[tokens[0]]]) for tokens in each if len(tokens) == 1]
        found.append(best_spelling(candidate, single, unk_id))
    return found


def entropy_of(log_probs: NDArray[np.float32]) -> float:
    """Give the entropy of a distribution, in nats."""
    exact = log_probs.astype(np.float64)
    return max(0.0, -float((np.exp(exact) * exact).sum()))


def blended(scored: Scored, cache: CacheView | None) -> list[float]:
    """Give the log-probabilities of a score as a cache of this weight would have them."""
    if cache is None or scored.cache_probs is None or not cache.weight:
        return [*scored.logprobs]
    model = np.exp(np.array(scored.logprobs))
    found: list[float] = np.log(
        (1 - cache.weight) * model + cache.weight * scored.cache_probs
    ).tolist()
    return found


def best_spelling(
    candidate: str, found: Sequence[tuple[list[int], list[float]]], unk_id: int
) -> Prediction:
    """Give a candidate's probability in its likeliest spelling, by the chain rule over its tokens."""
    logprob, is_unknown = max((math.fsum(logprobs), unk_id in ids) for ids, logprobs in found)
    return Prediction(candidate, math.exp(logprob), logprob, is_unknown)


def num_top_of(top_k: int, *, starts_with: str) -> int:
    """Tell how many of the likeliest tokens to ask the engine for: one more, for `<unk>` is left out."""
    return 0 if starts_with or top_k > MAX_TOP else top_k + 1


def best_predictions(
    tokenizer: Tokenizer, looked: Looked, top_k: int, words: WordIndex, starts_with: str = ""
) -> list[Prediction]:
    """Give the k likeliest tokens, likeliest first, equal ones by id; `<unk>` only where every token is wanted."""
    if looked.top and not starts_with:
        known = [(i, logprob) for i, logprob in looked.top if i != tokenizer.unk_id]
        return [_prediction(tokenizer.surface(i), logprob) for i, logprob in known[:top_k]]
    log_probs_V = looked.log_probs
    assert log_probs_V is not None
    if starts_with:
        ids = np.array(sorted(words.starting_with(starts_with)), dtype=np.int64)
    else:
        ids = np.arange(len(log_probs_V))
        if top_k < len(log_probs_V):
            ids = ids[ids != tokenizer.unk_id]
    order = np.argsort(-log_probs_V[ids], kind="stable")[:top_k]
    return [_prediction(tokenizer.surface(int(i)), float(log_probs_V[i])) for i in ids[order]]


def _prediction(token: str, logprob: float) -> Prediction:
    return Prediction(token, math.exp(logprob), logprob)


async def _score_candidate(
    loaded: LoadedLanguageModel,
    looked: Looked,
    candidate: str,
    spellings: list[list[int]],
    options: NextTokenOptions,
) -> Prediction:
    found = []
    assert looked.log_probs is not None
    for tokens in spellings:
        rest: list[float] = []
        if len(tokens) > 1:
            scored = await loaded.engine.score(
                tokens, start=looked.state, caller=options.caller, cache=options.cache
            )
            rest = blended(scored, options.cache)[1:]
        found.append((tokens, [float(looked.log_probs[tokens[0]]), *rest]))
    return best_spelling(candidate, found, loaded.checkpoint.tokenizer.unk_id)
