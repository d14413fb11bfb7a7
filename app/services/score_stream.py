"""Scores of texts that do not fit into memory: one text of any length, or any number of lines, in constant memory."""

from __future__ import annotations

import asyncio
import codecs
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.engine.errors import QueueFullError
from app.engine.sequence import Scored, TextState, require_open
from app.services.encoding import encode
from app.services.errors import InvalidParameterError, ServiceError, TextTooLongError
from app.services.registry import LoadedLanguageModel
from app.services.scoring import (
    TextScore,
    bits_per_character_of,
    perplexity_of,
    text_score,
)
from app.services.sessions import split_tail
from app.services.state_token import StateTokens
from app.settings import Settings

Unit = Literal["text", "line"]
LINES_AT_ONCE = 32
"""Lines that are scored together: half of the slots, so that others are served beside them."""
PAUSE_SECONDS = 0.05
BLOCK = 16_384
"""Characters that are looked at together: where a text is cut depends on it alone, and not on how it arrives."""
_ANY = 1 << 62


@dataclass(frozen=True)
class ScoreStreamOptions:
    """What a caller may ask for; see the route's parameters."""

    model: str | None = None
    unit: Unit = "text"
    stride: int = 4_096
    count_end: bool = False
    state: str | None = None
    wants_state: bool = False
    caller: str = ""


@dataclass(frozen=True)
class Progress:
    """What is known of a text so far; the last one `is_final`."""

    num_tokens: int = 0
    num_unknown: int = 0
    num_characters: int = 0
    log_likelihood: float = 0.0
    is_final: bool = False
    state: TextState | None = None

    @property
    def perplexity(self) -> float | None:
        """Of the tokens so far."""
        return perplexity_of(self.log_likelihood, self.num_tokens)

    @property
    def bits_per_character(self) -> float | None:
        """Of the characters so far."""
        return bits_per_character_of(self.log_likelihood, self.num_characters)


@dataclass(frozen=True)
class LineScore:
    """One line: its number from 1, and its score, or why it has none."""

    line: int
    score: TextScore | ServiceError


class ScoreStream:
    """A stream of text that is being scored."""

    def __init__(
        self,
        model: LoadedLanguageModel,
        chunks: AsyncIterator[str],
        start: TextState | None,
        options: ScoreStreamOptions,
        settings: Settings,
    ) -> None:
        self.model = model
        self._chunks = chunks
        self._start = start
        self._options = options
        self._settings = settings

    def results(self) -> AsyncGenerator[Progress | LineScore, None]:
        """Give results as they come; close it when no more are wanted."""
        return self._lines() if self._options.unit == "line" else self._text()

    async def _text(self) -> AsyncGenerator[Progress, None]:
        reader = _TextReader(self.model, self._start, self._options)
        async for block in _blocks(self._chunks):
            async for progress in reader.push(block):
                yield progress
        async for progress in reader.finish():
            yield progress

    async def _lines(self) -> AsyncGenerator[LineScore, None]:
        """Score lines side by side and tell them in order, each as soon as it is its turn."""
        tasks: asyncio.Queue[asyncio.Task[LineScore] | None] = asyncio.Queue(LINES_AT_ONCE)
        reader = asyncio.create_task(self._begin_lines(tasks))
        task: asyncio.Task[LineScore] | None = None
        try:
            while (task := await tasks.get()) is not None:
                yield await task
            await reader
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            left = [task, *(tasks.get_nowait() for _ in range(tasks.qsize()))]
            for each in filter(None, left):
                each.cancel()

    async def _begin_lines(self, tasks: asyncio.Queue[asyncio.Task[LineScore] | None]) -> None:
        """Begin to score each line that arrives; what is wrong with the stream comes after the lines before it."""
        number = 0
        try:
            async with aclosing(self._split()) as lines:
                async for line in lines:
                    number += 1
                    await tasks.put(asyncio.create_task(self._score_line(number, line)))
        except Exception:
            await tasks.put(None)
            raise
        await tasks.put(None)

    async def _split(self) -> AsyncGenerator[str, None]:
        rest = ""
        async for chunk in self._chunks:
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                yield line.removesuffix("\r")
            if len(rest) > self._settings.max_body_bytes:
                raise TextTooLongError(
                    f"a line has over {self._settings.max_body_bytes:,} characters", "line"
                )
        if rest:
            yield rest

    async def _score_line(self, number: int, line: str) -> LineScore:
        model, options = self.model, self._options
        try:
            encoding = await encode(
                model.checkpoint.tokenizer,
                line,
                max_tokens=self._settings.max_score_tokens,
                param="line",
            )
        except ServiceError as error:
            return LineScore(number, error)
        scored = await _score_in_turn(
            model, encoding.ids, count_end=options.count_end, caller=options.caller
        )
        return LineScore(number, text_score(line, encoding, scored))


async def _score_in_turn(model: LoadedLanguageModel, ids: list[int], **options: Any) -> Scored:
    """Score tokens; a stream that has been admitted waits where the queue is full for a moment."""
    while True:
        try:
            return await model.engine.score(ids, **options)
        except QueueFullError:
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass
class _TextReader:
    """Cuts a text that arrives in chunks to tokens, and scores them a stride at a time."""

    model: LoadedLanguageModel
    state: TextState | None
    options: ScoreStreamOptions
    progress: Progress = field(default_factory=Progress)
    _tail: str = ""
    _ids: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)  # where each token ends in the text
    _num_characters: int = 0

    async def push(self, chunk: str) -> AsyncIterator[Progress]:
        """Take more text, and give what is known after every stride."""
        settled, self._tail = split_tail(self.model.checkpoint.tokenizer, self._tail + chunk)
        await self._take(settled)
        async for progress in self._strides():
            yield progress

    async def finish(self) -> AsyncIterator[Progress]:
        """Read what is left, and give the whole."""
        await self._take(self._tail)
        async for progress in self._strides():
            yield progress
        last = await self._score(len(self._ids), count_end=self.options.count_end)
        state = self.state if self.options.wants_state else None
        yield replace(last, num_characters=self._num_characters, is_final=True, state=state)

    async def _take(self, text: str) -> None:
        encoding = await encode(
            self.model.checkpoint.tokenizer, text, max_tokens=_ANY, param="text"
        )
        self._ids += encoding.ids
        self._ends += [self._num_characters + end for _, end in encoding.offsets]
        self._num_characters += len(text)

    async def _strides(self) -> AsyncIterator[Progress]:
        while len(self._ids) > self.options.stride:
            yield await self._score(self.options.stride)

    async def _score(self, num_tokens: int, *, count_end: bool = False) -> Progress:
        ids, self._ids = self._ids[:num_tokens], self._ids[num_tokens:]
        ends, self._ends = self._ends[:num_tokens], self._ends[num_tokens:]
        unknown_id = self.model.checkpoint.tokenizer.unk_id
        scored = await _score_in_turn(
            self.model,
            ids,
            start=self.state,
            count_end=count_end,
            caller=self.options.caller,
            wants_state=True,
        )
        self.state = scored.state
        self.progress = replace(
            self.progress,
            num_tokens=self.progress.num_tokens + len(scored.logprobs),
            num_unknown=self.progress.num_unknown + ids.count(unknown_id),
            num_characters=ends[-1] if ends else self.progress.num_characters,
            log_likelihood=self.progress.log_likelihood + math.fsum(scored.logprobs),
        )
        return self.progress


class ScoreStreamService:
    """Measures streams of text."""

    def __init__(self, states: StateTokens, settings: Settings) -> None:
        self._states = states
        self._settings = settings

    async def open(self, body: AsyncIterator[bytes], options: ScoreStreamOptions) -> ScoreStream:
        """Find the model, by the first words where none is named; nothing is refused after this but what comes later.

        Raises
        ------
        ServiceError
            For an unknown model, a state that is none of it, or a first chunk that is not UTF-8.
        EngineError
            If the queue is full or the engine has stopped.
        """
        chunks = aiter(_decoded(body))
        first = await anext(chunks, "")
        model, start = self._states.resolve(options.model, first, options.state)
        require_open(start)
        model.engine.admit(1)
        return ScoreStream(model, _chained(first, chunks), start, options, self._settings)


async def _decoded(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Decode UTF-8 that may be cut anywhere.

    Raises
    ------
    InvalidParameterError
        Naming the byte, if it is another encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    num_bytes = 0
    try:
        async for piece in body:
            if text := decoder.decode(piece):
                yield text
            num_bytes += len(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidParameterError(
            f"the text is not UTF-8: after byte {num_bytes + error.start}", "body"
        ) from error


async def _blocks(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    """Cut a text to blocks of one size, whatever its chunks."""
    held = ""
    async for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK:
            yield held[:BLOCK]
            held = held[BLOCK:]
    if held:
        yield held


async def _chained(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk
