"""One text as it is written: tokens to pieces of text, up to a stop string."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from app.engine import tally
from app.engine.async_engine import TokenStream
from app.engine.sequence import Alternatives, FinishReason, Hypothesis, TextState, Written
from app.services.registry import LoadedLanguageModel
from app.services.stop_strings import StopStrings


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
    state: TextState | None = None


@dataclass(frozen=True)
class Choice:
    """One finished text."""

    index: int
    text: str
    finish_reason: FinishReason
    logprobs: list[TokenLogprob]
    state: TextState | None
    mean_logprob: float


@dataclass(frozen=True)
class Prompt:
    """What a choice goes on from: a state, then token ids; and whether the first space is the prompt's."""

    ids: list[int]
    start: TextState | None
    drops_space: bool

    @property
    def has_text(self) -> bool:
        """Whether anything comes before."""
        return bool(self.ids) or self.start is not None


class FoundText:
    """A text that a search has found, as a stream of one piece."""

    def __init__(self, found: Hypothesis) -> None:
        self._found: Hypothesis | None = found

    def __aiter__(self) -> FoundText:
        return self

    async def __anext__(self) -> Written:
        found, self._found = self._found, None
        if found is None:
            raise StopAsyncIteration
        return Written(found.token_ids, found.logprobs, found.top, found.finish_reason, found.state)

    async def __aenter__(self) -> FoundText:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    def abort(self) -> None:
        """Nothing is being written."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a text beside itself, and what ends it."""

    stops: Sequence[str]
    logprobs: bool
    state: bool


class ChoiceWriter:
    """One choice: tokens to text, up to a stop string."""

    def __init__(
        self,
        index: int,
        stream: TokenStream | FoundText,
        model: LoadedLanguageModel,
        prompt: Prompt,
        wanted: Wanted,
    ) -> None:
        self.stream = stream
        self._index = index
        self._model = model
        self._prompt = prompt
        self._wanted = wanted
        self._tokenizer = model.checkpoint.tokenizer
        self._decoder = self._tokenizer.stream(follows_text=prompt.has_text)
        self._stops = StopStrings(wanted.stops)
        self._drops_space = prompt.drops_space
        self._written: list[int] = []
        self._sum_logprobs = 0.0
        self._state: TextState | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens written so far."""
        return len(self._written)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Give the text as it is written."""
        async with self.stream:
            async for written in self.stream:
                piece = self._take(written)
                if piece.finish_reason and self._wanted.state:
                    self._state = written.state
                    if self._stops.is_stopped:
                        self.stream.abort()  # its slot may be the one that the reading waits for
                        self._state = await self._read_again()
                    piece = replace(piece, state=self._state)
                yield piece
                if piece.finish_reason:
                    return

    async def whole(self) -> Choice:
        """Wait for the whole text."""
        texts, logprobs = [], []
        reason: FinishReason | None = None
        async for piece in self.pieces():
            texts.append(piece.text)
            logprobs += piece.logprobs
            reason = piece.finish_reason
        assert reason is not None
        mean = self._sum_logprobs / max(1, self.num_tokens)
        return Choice(self._index, "".join(texts), reason, logprobs, self._state, mean)

    def _take(self, written: Written) -> Piece:
        """Decode new tokens, up to one that completes a stop string."""
        if self._wanted.stops:
            text, num_taken = self._take_until_stop(written.token_ids)
        else:
            text, num_taken = self._decode(written.token_ids), len(written.token_ids)
        self._written += written.token_ids[:num_taken]
        self._sum_logprobs += math.fsum(written.logprobs[:num_taken])
        reason: FinishReason | None = "stop" if self._stops.is_stopped else written.finish_reason
        if reason:
            tally.current().finish_reasons.add(reason)
        if reason and not self._stops.is_stopped:
            text += self._stops.push(self._decoder.finish()) + self._stops.finish()
        logprobs = self._logprobs(written, num_taken) if self._wanted.logprobs else []
        return Piece(self._index, text, reason, logprobs)

    async def _read_again(self) -> TextState:
        """Give the state after a stop string: the engine may have written on, so the text is read once more."""
        ids = [*self._prompt.ids, *self._written]
        return await self._model.engine.read(ids, start=self._prompt.start)

    def _take_until_stop(self, token_ids: list[int]) -> tuple[str, int]:
        """Decode tokens one by one; tell how many were taken."""
        text = ""
        for num_taken, token_id in enumerate(token_ids, start=1):
            text += self._stops.push(self._decode([token_id]))
            if self._stops.is_stopped:
                return text, num_taken
        return text, len(token_ids)

    def _decode(self, token_ids: list[int]) -> str:
        text = self._decoder.push(token_ids)
        if self._drops_space and text:
            self._drops_space = False
            return text.removeprefix(" ")
        return text

    def _logprobs(self, written: Written, num_taken: int) -> list[TokenLogprob]:
        surface = self._tokenizer.surface
        tops: list[Alternatives] = written.top or [[] for _ in written.token_ids]
        entries = zip(written.token_ids, written.logprobs, tops, strict=True)
        return [
            TokenLogprob(surface(token_id), logprob, [(surface(t), p) for t, p in top])
            for token_id, logprob, top in list(entries)[:num_taken]
        ]
