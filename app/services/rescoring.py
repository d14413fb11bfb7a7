"""Which hypothesis of a recogniser reads best: its own score, and a language model's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.sequence import TextState
from app.services.encoding import encode
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel
from app.services.state_token import StateTokens
from app.services.together import together
from app.settings import Settings
from models.tokenizer import Encoding


@dataclass(frozen=True)
class Hypothesis:
    """What was recognised, and how well it fits what was heard or seen."""

    text: str
    score: float


@dataclass(frozen=True)
class Rescored:
    """A hypothesis with each part of its score; log-probabilities are natural.

    total = given + weight * log_likelihood, the latter for each token where it is normalised.
    """

    text: str
    total: float
    given: float
    log_likelihood: float
    num_tokens: int
    num_unknown: int


@dataclass(frozen=True)
class RescoringOptions:
    """What a caller may ask for; see the route's schema."""

    context: str = ""
    weight: float = 1.0
    length_normalize: bool = False
    bos: bool = True
    eos: bool = False
    among_hypotheses: bool = False
    model: str | None = None
    state: str | None = None
    caller: str = ""


class RescoringService:
    """Orders hypotheses, likeliest first; equal ones keep their order."""

    def __init__(self, states: StateTokens, settings: Settings) -> None:
        self._states = states
        self._settings = settings

    async def rescore(
        self, hypotheses: Sequence[Hypothesis], options: RescoringOptions
    ) -> tuple[LoadedLanguageModel, list[Rescored]]:
        """Score hypotheses after a context that is read once; gives the model too.

        Raises
        ------
        ServiceError
            For an unknown model, too many or too long texts.
        EngineError
            If the queue is full or the engine has stopped.
        """
        if len(hypotheses) > self._settings.max_texts:
            raise InvalidParameterError(
                f"at most {self._settings.max_texts} hypotheses", "hypotheses"
            )
        sample = options.context + "".join(each.text[:100] for each in hypotheses)
        loaded, start = self._states.resolve(options.model, sample, options.state)
        loaded.engine.admit(len(hypotheses))
        limit = self._settings.max_prompt_tokens
        tokenizer = loaded.checkpoint.tokenizer
        context = await encode(tokenizer, options.context, max_tokens=limit, param="context")
        if context.ids:
            start = await loaded.engine.read(context.ids, start=start, caller=options.caller)
        encodings = [await self._encode(loaded, start, each.text) for each in hypotheses]
        words: set[int] = set()
        if options.among_hypotheses:
            words = {tokenizer.eos_id} if options.eos else set()
            words.update(*(encoding.ids for encoding in encodings))
        rescored = await together(
            self._rescore_one(loaded, start, each, encoding, sorted(words), options)
            for each, encoding in zip(hypotheses, encodings, strict=True)
        )
        return loaded, sorted(rescored, key=lambda each: -each.total)

    async def _encode(
        self, loaded: LoadedLanguageModel, start: TextState | None, text: str
    ) -> Encoding:
        tokenizer = loaded.checkpoint.tokenizer
        needs_space = start is not None and text[:1].isalnum() and tokenizer.kind != "characters"
        return await encode(
            tokenizer,
            f" {text}" if needs_space else text,
            max_tokens=self._settings.max_prompt_tokens,
            param="hypotheses",
        )

    async def _rescore_one(
        self,
        loaded: LoadedLanguageModel,
        start: TextState | None,
        hypothesis: Hypothesis,
        encoding: Encoding,
        words: list[int],
        options: RescoringOptions,
    ) -> Rescored:
        scored = await loaded.engine.score(
            encoding.ids,
            count_end=options.eos,
            start=start,
            caller=options.caller,
            candidates=words,
        )
        logprobs = scored.logprobs
        if start is None and not options.bos:
            logprobs = logprobs[1:]
        log_likelihood = math.fsum(logprobs)
        part = (
            log_likelihood / max(1, len(logprobs)) if options.length_normalize else log_likelihood
        )
        return Rescored(
            hypothesis.text,
            hypothesis.score + options.weight * part,
            hypothesis.score,
            log_likelihood,
            len(logprobs),
            encoding.num_unknown,
        )
