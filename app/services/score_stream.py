"""Scores of texts that do not fit into memory: one text of any length, or any number of lines, in constant memory."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.app.services.text_chunks import chained, lines_of, settled_parts
from refrain.app.settings import Settings
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.engine.request import TextState, require_open
from refrain.inference.errors import QueueFullError
from refrain.inference.operation import Operation
from refrain.inference.operations.encoding import encode
from refrain.inference.operations.scoring import ScoreParams, TextScore, score_ids, score_text
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.want import Want

R = TypeVar("R")
Unit = Literal["text", "line"]
LINES_AT_ONCE = 32
"""Lines that are scored together: half of the slots, so that others are served beside them."""
PAUSE_SECONDS = 0.05


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


class Progress(NamedTuple):
    """The score of a text so far; the last one `is_final`, and alone has the state."""

    score: TextScore
    is_final: bool = False


class LineScore(NamedTuple):
    """One line: its number from 1, and its score, or why it has none."""

    line: int
    score: TextScore | InvalidParameterError


@dataclass
class ScoreStream:
    """A stream of text that is being scored; one that has been admitted waits where the queue is full for a moment."""

    loaded: LoadedLanguageModel
    chunks: AsyncIterator[str]
    start: TextState | None
    caller: Caller
    params: ScoreStreamParams
    settings: Settings

    def results(self) -> AsyncGenerator[Progress | LineScore, None]:
        """Yield results as they come; close it when no more are wanted."""
        return self._lines() if self.params.unit == "line" else self._text()

    async def _run(self, operation: Callable[[], Operation[R]]) -> R:
        while True:
            try:
                return await self.loaded.driver.run(operation(), self.caller)
            except QueueFullError:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _text(self) -> AsyncGenerator[Progress, None]:
        """Score one text a stride at a time, as its tokens come."""
        tokenizer, stride = self.loaded.model.tokenizer, self.params.stride
        score = TextScore.of(0.0, 0, 0, 0, self.start)
        ids: list[int] = []
        ends: list[int] = []  # where each token ends in the text
        num_characters = 0
        async for part in settled_parts(self.chunks, tokenizer):
            [encoding] = await map_texts(encode, tokenizer, [part])
            ids += encoding.ids
            ends += [num_characters + end for _, end in encoding.offsets]
            num_characters += len(part)
            while len(ids) > stride:
                score = await self._go_on(score, ids[:stride], ends[stride - 1])
                ids, ends = ids[stride:], ends[stride:]
                yield Progress(replace(score, state=None))
        if self.params.count_end:
            ids.append(tokenizer.eos_id)
        score = await self._go_on(score, ids, num_characters)
        state = score.state if self.params.wants_state else None
        yield Progress(replace(score, state=state), is_final=True)

    async def _go_on(self, before: TextScore, ids: Sequence[int], num_characters: int) -> TextScore:
        """Return the score of a text, and its state, when more of its tokens are read: of so many characters in all."""
        found = await self._run(lambda: score_ids(ids, before.state, Want(state=True)))
        return TextScore.of(
            before.log_likelihood + math.fsum(found.logprobs),
            before.num_tokens + len(ids),
            before.num_unknown + ids.count(self.loaded.model.tokenizer.unk_id),
            num_characters,
            found.state,
        )

    async def _lines(self) -> AsyncGenerator[LineScore, None]:
        """Score lines side by side and yield them in order, each as soon as it is its turn."""
        tasks: asyncio.Queue[asyncio.Task[LineScore] | None] = asyncio.Queue()
        room = asyncio.Semaphore(LINES_AT_ONCE)
        reader = asyncio.create_task(self._begin_lines(tasks, room))
        task: asyncio.Task[LineScore] | None = None
        try:
            while (task := await tasks.get()) is not None:
                yield await task
                room.release()
            await reader
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            for each in (task, *(tasks.get_nowait() for _ in range(tasks.qsize()))):
                if each:
                    each.cancel()

    async def _begin_lines(
        self, tasks: asyncio.Queue[asyncio.Task[LineScore] | None], room: asyncio.Semaphore
    ) -> None:
        """Begin to score each line that arrives; what is wrong with the stream comes after the lines before it."""
        number, limit = 0, self.settings.max_body_bytes
        try:
            async with aclosing(lines_of(self.chunks, limit)) as lines:
                async for line in lines:
                    await room.acquire()
                    number += 1
                    tasks.put_nowait(asyncio.create_task(self._score_line(number, line)))
        finally:
            tasks.put_nowait(None)

    async def _score_line(self, number: int, line: str) -> LineScore:
        model, limit = self.loaded.model, self.settings.max_score_tokens
        params, tokenizer = ScoreParams(count_end=self.params.count_end), model.tokenizer
        try:
            [encoding] = await map_texts(encode, tokenizer, [line], max_tokens=limit, param="line")
        except InvalidParameterError as error:
            return LineScore(number, error)
        score = await self._run(lambda: score_text(model, line, encoding, params))
        return LineScore(number, score)


async def open_stream(
    serving: Serving, asked: Asked, chunks: AsyncIterator[str], params: ScoreStreamParams
) -> ScoreStream:
    """Find the model, by the first words where none is named; nothing is refused after this but what comes later."""
    first = await anext(chunks, "")
    loaded, start = serving.find(asked, first)
    require_open(start)
    loaded.driver.admit(1)
    text = chained(first, chunks)
    return ScoreStream(loaded, text, start, asked.caller, params, serving.settings)
