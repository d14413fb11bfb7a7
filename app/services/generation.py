"""Prompts in, texts out: whole, or piece by piece as they are written."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from app.engine.async_engine import TokenStream
from app.engine.sequence import FinishReason, SamplingParams, TokenEvent
from app.engine.uniform import mix
from app.services.encoding import encode_prompt
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel, Registry
from app.services.stop_strings import StopStrings
from app.settings import Settings


@dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class TokenLogprob:
    """A written token, its log-probability, and the likeliest in its place."""

    token: str
    logprob: float
    top: list[tuple[str, float]]


@dataclass(frozen=True)
class Piece:
    """Some more text of one choice; the last piece has a finish_reason."""

    index: int
    text: str
    finish_reason: FinishReason | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """One finished text."""

    index: int
    text: str
    finish_reason: FinishReason
    logprobs: list[TokenLogprob]


class Generation:
    """A submitted request: its choices are being written from here on."""

    def __init__(
        self, model: LoadedLanguageModel, writers: list[ChoiceWriter], seed: int, num_prompt: int
    ) -> None:
        self.model_name = model.checkpoint.name
        self.seed = seed
        self._writers = writers
        self._num_prompt = num_prompt

    @property
    def usage(self) -> Usage:
        """Tokens read and written so far."""
        return Usage(self._num_prompt, sum(writer.num_tokens for writer in self._writers))

    async def whole(self) -> list[Choice]:
        """Wait for every choice."""
        try:
            return list(await asyncio.gather(*(writer.whole() for writer in self._writers)))
        finally:
            self.abort()

    async def pieces(self) -> AsyncIterator[Piece]:
        """Give the pieces of all choices as they come."""
        queue: asyncio.Queue[Piece | None] = asyncio.Queue()

        async def forward(writer: ChoiceWriter) -> None:
            async for piece in writer.pieces():
                queue.put_nowait(piece)

        async def forward_all() -> None:
            try:
                await asyncio.gather(*map(forward, self._writers))
            finally:
                queue.put_nowait(None)

        task = asyncio.create_task(forward_all())
        try:
            while (piece := await queue.get()) is not None:
                yield piece
            await task
        finally:
            task.cancel()
            self.abort()

    def abort(self) -> None:
        """Free what is still being written."""
        for writer in self._writers:
            writer.stream.abort()


class ChoiceWriter:
    """One choice: tokens to text, up to a stop string."""

    def __init__(
        self,
        index: int,
        stream: TokenStream,
        model: LoadedLanguageModel,
        stops: Sequence[str],
        *,
        wants_logprobs: bool,
        drops_space: bool,
    ) -> None:
        self.stream = stream
        self.num_tokens = 0
        self._index = index
        self._tokenizer = model.checkpoint.tokenizer
        self._decoder = self._tokenizer.stream()
        self._stops = StopStrings(stops)
        self._wants_logprobs = wants_logprobs
        self._drops_space = drops_space

    async def pieces(self) -> AsyncIterator[Piece]:
        """Give the text as it is written."""
        async with self.stream:
            async for event in self.stream:
                self.num_tokens += 1
                text = self._stops.push(self._decode(event))
                reason = "stop" if self._stops.is_stopped else event.finish_reason
                if reason and not self._stops.is_stopped:
                    text += self._stops.finish()
                yield Piece(self._index, text, reason, self._logprobs(event))
                if reason:
                    return
        yield Piece(self._index, "", "length")

    async def whole(self) -> Choice:
        """Wait for the whole text."""
        texts, logprobs = [], []
        reason: FinishReason | None = None
        async for piece in self.pieces():
            texts.append(piece.text)
            logprobs += piece.logprobs
            reason = piece.finish_reason
        assert reason is not None
        return Choice(self._index, "".join(texts), reason, logprobs)

    def _decode(self, event: TokenEvent) -> str:
        text = self._decoder.push(event.token_id)
        if self._drops_space and text:
            self._drops_space = False
            return text.removeprefix(" ")
        return text

    def _logprobs(self, event: TokenEvent) -> list[TokenLogprob]:
        if not self._wants_logprobs:
            return []
        surface = self._tokenizer.surface
        top = [(surface(token_id), logprob) for token_id, logprob in event.top]
        return [TokenLogprob(surface(event.token_id), event.logprob, top)]


@dataclass(frozen=True)
class GenerationOptions:
    """What a caller may ask for; see the route's schema."""

    prompts: Sequence[str]
    sampling: SamplingParams
    model: str | None = None
    seed: int | None = None
    n: int = 1
    stops: Sequence[str] = ()
    wants_logprobs: bool = False


class GenerationService:
    """Continues texts."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    async def submit(self, options: GenerationOptions) -> Generation:
        """Check, admit, tokenize and queue a request; nothing is refused after this.

        Raises
        ------
        ServiceError
            For an unknown model, too many texts or tokens.
        EngineError
            If the queue is full or the engine has stopped.
        """
        self._check(options)
        model = self._registry.language_model(options.model, "".join(options.prompts))
        model.engine.admit(len(options.prompts) * options.n)
        tokenizer = model.checkpoint.tokenizer
        seed = secrets.randbits(53) if options.seed is None else options.seed
        sampling = replace(options.sampling, banned=frozenset({tokenizer.unk_id}))
        requests, spaces = [], []
        for prompt in options.prompts:
            ids, drops_space = await encode_prompt(
                tokenizer, prompt, max_tokens=self._settings.max_prompt_tokens, param="prompt"
            )
            for choice in range(options.n):
                requests.append((ids, replace(sampling, seed=choice_seed(seed, choice))))
                spaces.append(drops_space)
        streams = model.engine.generate(requests)
        writers = [
            ChoiceWriter(
                index,
                stream,
                model,
                options.stops,
                wants_logprobs=options.wants_logprobs,
                drops_space=drops_space,
            )
            for index, (stream, drops_space) in enumerate(zip(streams, spaces, strict=True))
        ]
        num_prompt = sum(len(ids) for ids, _ in requests[:: options.n])
        return Generation(model, writers, seed, num_prompt)

    def _check(self, options: GenerationOptions) -> None:
        settings = self._settings
        if len(options.prompts) * options.n > settings.max_texts:
            raise InvalidParameterError(
                f"{len(options.prompts)} prompts x n {options.n} are more than {settings.max_texts} texts",
                "n" if options.n > 1 else "prompt",
            )
        if options.sampling.max_tokens > settings.max_tokens:
            raise InvalidParameterError(
                f"max_tokens may be at most {settings.max_tokens:,}", "max_tokens"
            )


def choice_seed(seed: int, choice: int) -> int:
    """Give the seed of the n-th choice: the request's own for the first, a scrambled one for the others."""
    return seed if choice == 0 else mix(mix(seed) + choice)
