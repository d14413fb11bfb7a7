"""One text as it is written: tokens to pieces of text, up to a stop string."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from app.engine import tally
from app.engine.async_engine import TokenStream
from app.engine.sequence import Alternatives, FinishReason, Hypothesis, TextState, Written
from app.services.prompts import Prompt
from app.services.registry import LoadedLanguageModel
from app.services.written_text import WrittenText


@dataclass(frozen=True)
class TokenLogprob:
    """A written token, its log-probability, the likeliest in its place, and where in the text it begins."""

    token: str
    logprob: float
    top: list[tuple[str, float]]
    place: int


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
        self._placer = self._tokenizer.stream(follows_text=prompt.has_text)
        self._place = 0
        self._loses_space = prompt.drops_space
        self._written = WrittenText(
            self._tokenizer,
            wanted.stops,
            follows_text=prompt.has_text,
            drops_space=prompt.drops_space,
        )
        self._state: TextState | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens written so far."""
        return len(self._written.token_ids)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Give the text as it is written."""
        async with self.stream:
            async for written in self.stream:
                piece = self._take(written)
                if piece.finish_reason and self._wanted.state:
                    self._state = written.state
                    if self._written.is_stopped:
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
        mean = self._written.mean_logprob
        return Choice(self._index, "".join(texts), reason, logprobs, self._state, mean)

    def _take(self, written: Written) -> Piece:
        """Decode new tokens, up to one that completes a stop string."""
        num_before = self.num_tokens
        text, reason = self._written.take(written)
        num_taken = self.num_tokens - num_before
        if reason:
            tally.current().finish_reasons.add(reason)
        logprobs = self._logprobs(written, num_taken) if self._wanted.logprobs else []
        return Piece(self._index, text, reason, logprobs)

    async def _read_again(self) -> TextState:
        """Give the state after a stop string: the engine may have written on, so the text is read once more."""
        ids = [*self._prompt.ids, *self._written.token_ids]
        return await self._model.engine.read(ids, start=self._prompt.start)

    def _logprobs(self, written: Written, num_taken: int) -> list[TokenLogprob]:
        surface = self._tokenizer.surface
        tops: list[Alternatives] = written.top or [[] for _ in written.token_ids]
        entries = zip(written.token_ids, written.logprobs, tops, strict=True)
        return [
            TokenLogprob(
                surface(token_id),
                logprob,
                [(surface(t), p) for t, p in top],
                self._place_of(token_id),
            )
            for token_id, logprob, top in list(entries)[:num_taken]
        ]

    def _place_of(self, token_id: int) -> int:
        """Tell where the next written token begins in the text."""
        place = self._place
        piece = self._placer.push([token_id])
        if self._loses_space and piece:
            self._loses_space = False
            piece = piece.removeprefix(" ")
        self._place += len(piece)
        return place
