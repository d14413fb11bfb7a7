"""Prompts in, texts out: whole, or piece by piece as they are written."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.engine.beam_search import BeamParams
from app.services.choice import Choice, ChoiceWriter, FoundText, Piece, Wanted
from app.services.echo import PromptToken, read_back
from app.services.encoding import without_unknown
from app.services.errors import InvalidParameterError
from app.services.prompts import Prompt, read_prompt
from app.services.registry import LoadedLanguageModel
from app.services.state_token import StateTokens
from app.services.together import together
from app.settings import Settings
from models.native.sequence import SamplingParams
from models.native.structures import Purpose
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


class Generation:
    """A submitted request: its choices are being written from here on."""

    def __init__(
        self,
        model: LoadedLanguageModel,
        writers: list[ChoiceWriter],
        seed: int,
        prompts: list[Prompt],
        options: GenerationOptions,
        echoes: Sequence[list[PromptToken]] = (),
    ) -> None:
        self.model = model
        self.options = options
        self.seed = seed
        self.prompts = prompts
        self.echoes = echoes
        self._writers = writers

    @property
    def usage(self) -> Usage:
        """Tokens read and written so far."""
        num_prompt = sum(prompt.num_given for prompt in self.prompts)
        return Usage(num_prompt, sum(writer.num_tokens for writer in self._writers))

    async def whole(self) -> list[Choice]:
        """Wait for every choice; of more than were asked for the likeliest are kept, by the mean token."""
        try:
            if len(self._writers) == 1:
                choices = [await self._writers[0].whole()]
            else:
                choices = await together(writer.whole() for writer in self._writers)
        finally:
            self.abort()
        num_tried, n = self.options.num_tried, self.options.n
        if num_tried == n:
            return choices
        kept: list[Choice] = []
        for first in range(0, len(choices), num_tried):
            tried = sorted(choices[first : first + num_tried], key=lambda c: -c.mean_logprob)
            kept += tried[:n]
        return [replace(choice, index=index) for index, choice in enumerate(kept)]

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Give the pieces of all choices as they come; close it when no more are wanted."""
        queue: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue(len(self._writers))

        async def forward(writer: ChoiceWriter) -> None:
            async for piece in writer.pieces():
                await queue.put(piece)

        async def forward_all() -> None:
            ends = await asyncio.gather(*map(forward, self._writers), return_exceptions=True)
            await queue.put(next(filter(None, ends), None))

        task = asyncio.create_task(forward_all())
        try:
            while (piece := await queue.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            task.cancel()
            self.abort()
            await asyncio.wait([task])

    def abort(self) -> None:
        """Free what is still being written."""
        for writer in self._writers:
            writer.stream.abort()


@dataclass(frozen=True)
class GenerationOptions:
    """What a caller may ask for; see the route's schema.

    Attributes
    ----------
    prompts
        Strings, or token ids.
    logit_bias
        By a token's text, or by its id.
    with_names
        Whether the names of special tokens in a string stand for these tokens.
    is_echoed
        Whether the prompts are wanted as text, and their tokens' log-probabilities too if such are wanted.
    """

    prompts: Sequence[str | Sequence[int]]
    sampling: SamplingParams
    model: str | None = None
    seed: int | None = None
    n: int = 1
    stops: Sequence[str] = ()
    best_of: int | None = None
    beams: BeamParams | None = None
    logit_bias: Mapping[str, float] | Mapping[int, float] = field(default_factory=dict)
    allowed: Sequence[str] | None = None
    with_names: bool = False
    is_echoed: bool = False
    num_logprobs: int | None = None
    is_streamed: bool = False
    state: str | None = None
    wants_state: bool = False
    caller: str = ""

    @property
    def num_tried(self) -> int:
        """Texts that are written for each prompt."""
        return self.best_of or self.n

    @property
    def num_slots(self) -> int:
        """Slots that each prompt takes."""
        return self.beams.num_beams if self.beams else self.num_tried

    @property
    def wanted(self) -> Wanted:
        """What each text is to tell."""
        return Wanted(self.stops, self.num_logprobs is not None, self.wants_state)


class GenerationService:
    """Continues texts."""

    def __init__(self, states: StateTokens, settings: Settings) -> None:
        self._states = states
        self._settings = settings

    async def search(self, options: GenerationOptions) -> Generation:
        """Find the likeliest texts: a beam search for each prompt, to its end.

        Raises
        ------
        ServiceError
            For an unknown model, too many texts or tokens.
        EngineError
            If the queue is full or the engine has stopped.
        """
        beams = options.beams
        assert beams is not None
        model, prompts, sampling = await self._begin(options)
        searched = await together(
            model.engine.search(
                prompt.ids,
                beams,
                params=sampling,
                start=prompt.start,
                num_top=options.num_logprobs or 0,
                caller=options.caller,
                wants_state=options.wants_state,
            )
            for prompt in prompts
        )
        found = [
            (prompt, hypothesis)
            for prompt, each in zip(prompts, searched, strict=True)
            for hypothesis in each.hypotheses[: options.n]
        ]
        writers = [
            ChoiceWriter(index, FoundText(hypothesis), model, prompt, options.wanted)
            for index, (prompt, hypothesis) in enumerate(found)
        ]
        return Generation(model, writers, options.seed or 0, prompts, options)

    async def submit(self, options: GenerationOptions) -> Generation:
        """Check, admit, tokenize and queue a request; nothing is refused after this.

        Raises
        ------
        ServiceError
            For an unknown model, too many texts or tokens.
        EngineError
            If the queue is full or the engine has stopped.
        """
        model, prompts, sampling = await self._begin(options)
        echoes: list[list[PromptToken]] = []
        if options.is_echoed and options.num_logprobs is not None:
            num_top, caller = options.num_logprobs, options.caller
            read = await together(
                read_back(model, prompt, num_top=num_top, caller=caller) for prompt in prompts
            )
            echoes = [tokens for tokens, _ in read]
            prompts = [prompt for _, prompt in read]
        seed = secrets.randbits(53) if options.seed is None else options.seed
        choices = [prompt for prompt in prompts for _ in range(options.num_tried)]
        seeds = [seed_of(seed, index) for index in range(len(choices))]
        streams = model.engine.generate(
            [
                model.engine.sequence(
                    Purpose.GENERATE,
                    prompt.ids,
                    params=replace(sampling, seed=choice_seed),
                    start=prompt.start,
                    num_top=options.num_logprobs or 0,
                    caller=options.caller,
                    is_eager=options.is_streamed or bool(options.stops),
                    wants_state=options.wants_state,
                )
                for prompt, choice_seed in zip(choices, seeds, strict=True)
            ]
        )
        writers = [
            ChoiceWriter(index, stream, model, prompt, options.wanted)
            for index, (stream, prompt) in enumerate(zip(streams, choices, strict=True))
        ]
        return Generation(model, writers, seed, prompts, options, echoes)

    async def _begin(
        self, options: GenerationOptions
    ) -> tuple[LoadedLanguageModel, list[Prompt], SamplingParams]:
        """Check and admit a request; turn its prompts, biases and allowed texts to tokens."""
        self._check(options)
        texts = "".join(prompt for prompt in options.prompts if isinstance(prompt, str))
        model, start = self._states.resolve(options.model, texts, options.state)
        model.engine.admit(len(options.prompts) * options.num_slots)
        prompts = [
            await read_prompt(
                model.checkpoint.tokenizer,
                given,
                start,
                max_tokens=self._settings.max_prompt_tokens,
                with_names=options.with_names,
                spells=options.is_echoed,
            )
            for given in options.prompts
        ]
        sampling = replace(
            options.sampling,
            logit_bias=_biases(model.checkpoint.tokenizer, options.logit_bias),
            allowed=_allowed(model.checkpoint.tokenizer, options.allowed),
        )
        return model, prompts, sampling

    def _check(self, options: GenerationOptions) -> None:
        settings = self._settings
        if len(options.prompts) * options.num_tried > settings.max_texts:
            name = "best_of" if options.best_of else "n"
            raise InvalidParameterError(
                f"{len(options.prompts)} prompts x {name} {options.num_tried} are more than "
                f"{settings.max_texts} texts",
                name if options.num_tried > 1 else "prompt",
            )
        check_search(options.beams, options.n, options.sampling)
        if options.num_tried < options.n:
            raise InvalidParameterError(
                f"best_of {options.best_of} is less than n {options.n}", "best_of"
            )
        if options.num_tried > options.n and options.is_streamed:
            raise InvalidParameterError(
                "the best of several is known only at the end: best_of does not stream", "best_of"
            )
        if options.sampling.max_tokens > settings.max_tokens:
            raise InvalidParameterError(
                f"max_tokens may be at most {settings.max_tokens:,}", "max_tokens"
            )


def check_search(beams: BeamParams | None, n: int, sampling: SamplingParams) -> None:
    """Refuse a search that cannot find what is asked for.

    Raises
    ------
    InvalidParameterError
        If it keeps fewer texts than are wanted, or may write nothing.
    """
    if beams and beams.num_beams < n:
        raise InvalidParameterError(f"num_beams {beams.num_beams} is less than n {n}", "num_beams")
    if beams and not sampling.max_tokens:
        raise InvalidParameterError("a search writes one token at least", "max_tokens")


def _token_of(tokenizer: Tokenizer, text: str | int, param: str) -> int:
    if isinstance(text, int):
        if 0 <= text < tokenizer.vocab_size:
            return text
        raise InvalidParameterError(f"token ids go from 0 to {tokenizer.vocab_size - 1:,}", param)
    token_id = tokenizer.id_of(text)
    if token_id is None:
        raise InvalidParameterError(f"{text[:50]!r} is not one token of this model", param)
    return token_id


def _biases(
    tokenizer: Tokenizer, biases: Mapping[str, float] | Mapping[int, float]
) -> tuple[tuple[int, float], ...]:
    """Turn texts of one token to ids; `<unk>` is never written."""
    given = ((_token_of(tokenizer, t, "logit_bias"), value) for t, value in biases.items())
    return without_unknown(tokenizer, given)


def _allowed(tokenizer: Tokenizer, texts: Sequence[str] | None) -> NDArray[np.uint64] | None:
    """Turn texts of one token, and the end, to a bit for each token."""
    if texts is None:
        return None
    bits = np.zeros(tokenizer.vocab_size // 64 + 1, np.uint64)
    ids = np.array([tokenizer.eos_id, *(_token_of(tokenizer, t, "allowed") for t in texts)])
    np.bitwise_or.at(bits, ids // 64, np.uint64(1) << (ids % 64).astype(np.uint64))
    return bits


def seed_of(seed: int, index: int) -> int:
    """Give the seed of a choice by its index: the request's own for the first, a hash of both for the others."""
    if index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
