"""Scores of texts that do not fit into memory: one text of any length, or any number of lines, in constant memory."""

from __future__ import annotations

import asyncio
import codecs
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar

from app.services.registry import LoadedLanguageModel
from app.services.serving import Asked, Serving, off_loop
from inference.engine.request import TextState, require_open
from inference.errors import QueueFullError, TextTooLongError
from inference.operation import Operation
from inference.operations.encoding import encode
from inference.operations.scoring import ScoreParams, TextScore, score_ids, score_text
from models.errors import InvalidParameterError
from models.native.sequence import Want
from models.text_borders import split_tail
from models.tokenizer import Encoding

R = TypeVar("R")
Unit = Literal["text", "line"]
LINES_AT_ONCE = 32
"""Lines that are scored together: half of the slots, so that others are served beside them."""
PAUSE_SECONDS = 0.05
BLOCK = 16_384
"""Characters that are looked at together: where a text is cut depends on it alone, and not on how it arrives."""


@dataclass(frozen=True)
class ScoreStreamParams:
    """How a stream is measured.

    Attributes
    ----------
    unit
        Whether the stream is one text, or each of its lines is one.
    stride
        Of one text: tokens between two results.
    """

    unit: Unit = "text"
    stride: int = 4_096
    count_end: bool = False
    wants_state: bool = False


@dataclass(frozen=True)
class Progress:
    """The score of a text so far; the last one `is_final`."""

    score: TextScore
    is_final: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it as a line of `POST /score/stream`, without its state and the model's name."""
        return {**self.score.as_json(), "final": self.is_final}


@dataclass(frozen=True)
class LineScore:
    """One line: its number from 1, and its score, or why it has none."""

    line: int
    score: TextScore | InvalidParameterError


class ScoreStream:
    """A stream of text that is being scored."""

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        chunks: AsyncIterator[str],
        start: TextState | None,
        asked: Asked,
        params: ScoreStreamParams,
        serving: Serving,
    ) -> None:
        self.loaded = loaded
        self._chunks = chunks
        self._start = start
        self._asked = asked
        self._params = params
        self._settings = serving.settings

    def results(self) -> AsyncGenerator[Progress | LineScore, None]:
        """Yield results as they come; close it when no more are wanted."""
        return self._lines() if self._params.unit == "line" else self._text()

    async def run(self, operation: Callable[[], Operation[R]]) -> R:
        """Run an operation; a stream that has been admitted waits where the queue is full for a moment."""
        while True:
            try:
                return await self.loaded.driver.run(operation(), self._asked.caller)
            except QueueFullError:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _text(self) -> AsyncGenerator[Progress, None]:
        reader = _TextReader(self, self._params, self._start)
        async for block in _blocks(self._chunks):
            async for progress in reader.push(block):
                yield progress
        async for progress in reader.finish():
            yield progress

    async def _lines(self) -> AsyncGenerator[LineScore, None]:
        """Score lines side by side and yield them in order, each as soon as it is its turn."""
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
                    task = asyncio.create_task(self._score_line(number, line))
                    try:
                        await tasks.put(task)
                    except asyncio.CancelledError:
                        task.cancel()
                        raise
        except Exception:
            await tasks.put(None)
            raise
        await tasks.put(None)

    async def _split(self) -> AsyncGenerator[str, None]:
        rest, limit = "", self._settings.max_body_bytes
        async for chunk in self._chunks:
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                yield line.removesuffix("\r")
            if len(rest) > limit:
                raise TextTooLongError(f"a line has over {limit:,} characters", "line")
        if rest:
            yield rest

    async def _score_line(self, number: int, line: str) -> LineScore:
        model, limit = self.loaded.model, self._settings.max_score_tokens
        encoding_line = partial(encode, model.tokenizer, line, max_tokens=limit, param="line")
        try:
            encoding = await off_loop(len(line), encoding_line)
        except InvalidParameterError as error:
            return LineScore(number, error)
        params = ScoreParams(count_end=self._params.count_end)
        scoring = partial(score_text, model, line, encoding, params)
        return LineScore(number, await self.run(scoring))


@dataclass
class _TextReader:
    """Cuts a text that arrives in chunks to tokens, and scores them a stride at a time."""

    stream: ScoreStream
    params: ScoreStreamParams
    state: TextState | None
    _tail: str = ""
    _ids: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)  # where each token ends in the text
    _num_characters: int = 0
    _last: TextScore = field(default_factory=lambda: TextScore.of(0.0, 0, 0, 0))

    async def push(self, chunk: str) -> AsyncIterator[Progress]:
        """Take more text, and yield what is known after every stride."""
        tokenizer = self.stream.loaded.model.tokenizer
        settled, self._tail = split_tail(tokenizer, self._tail + chunk)
        await self._take(settled)
        async for progress in self._strides():
            yield progress

    async def finish(self) -> AsyncIterator[Progress]:
        """Read what is left, and yield the whole."""
        await self._take(self._tail)
        async for progress in self._strides():
            yield progress
        await self._score(len(self._ids), self._num_characters, count_end=self.params.count_end)
        state = self.state if self.params.wants_state else None
        yield Progress(replace(self._last, state=state), is_final=True)

    async def _take(self, text: str) -> None:
        tokenizer = self.stream.loaded.model.tokenizer
        encoding: Encoding = await off_loop(len(text), partial(encode, tokenizer, text))
        self._ids += encoding.ids
        self._ends += [self._num_characters + end for _, end in encoding.offsets]
        self._num_characters += len(text)

    async def _strides(self) -> AsyncIterator[Progress]:
        stride = self.params.stride
        while len(self._ids) > stride:
            yield Progress(await self._score(stride, self._ends[stride - 1]))

    async def _score(
        self, num_tokens: int, num_characters: int, *, count_end: bool = False
    ) -> TextScore:
        """Score the next tokens, up to so many characters of the text; return the score of all so far."""
        tokenizer, last = self.stream.loaded.model.tokenizer, self._last
        ids, self._ids = self._ids[:num_tokens], self._ids[num_tokens:]
        self._ends = self._ends[num_tokens:]
        num_unknown = last.num_unknown + ids.count(tokenizer.unk_id)
        if count_end:
            ids.append(tokenizer.eos_id)
        found = await self.stream.run(partial(score_ids, ids, self.state, Want(state=True)))
        self.state = found.state
        log_likelihood = last.log_likelihood + math.fsum(found.logprobs)
        self._last = TextScore.of(
            log_likelihood, last.num_tokens + len(ids), num_unknown, num_characters
        )
        return self._last


async def open_stream(
    serving: Serving, asked: Asked, body: AsyncIterator[bytes], params: ScoreStreamParams
) -> ScoreStream:
    """Find the model, by the first words where none is named; nothing is refused after this but what comes later."""
    chunks = aiter(_decoded(body))
    first = await anext(chunks, "")
    loaded, start = serving.find(asked, first)
    require_open(start)
    loaded.driver.admit(1)
    return ScoreStream(loaded, _chained(first, chunks), start, asked, params, serving)


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
