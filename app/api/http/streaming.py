"""Server-sent events: pieces of text as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from refrain.app.api.http.disconnect import DeadlineError, in_time
from refrain.app.api.http.errors import failure_of
from refrain.app.services.generation import StartedGeneration
from refrain.app.services.serving import Serving
from refrain.inference.errors import EngineError
from refrain.inference.operation import Delta

DONE = "data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """The events of a request that has been queued already.

    Frees what is being written when the caller has left, even before the first event.
    """

    def __init__(self, events: AsyncGenerator[str, None], started: StartedGeneration) -> None:
        self._events = events
        super().__init__(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )
        self._started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            self._started.running.abort()


async def events(
    started: StartedGeneration, serving: Serving, seconds: float | None, scope: Scope
) -> AsyncGenerator[str, None]:
    """Yield one event a piece, one with seed and usage at the end, and `[DONE]`; for so many seconds at most.

    A fault after the start is an event `{"error": ...}`, and the stream ends without `[DONE]`.
    """
    try:
        async for delta in deltas_in_time(started, seconds):
            if delta.text or delta.finish_reason or delta.logprobs:
                yield as_event(serving.with_state(delta.as_json(), started.loaded, delta.state))
        end = (await started.answer()).as_json()
        yield as_event({"model": started.loaded.name, "seed": end["seed"], "usage": end["usage"]})
        yield DONE
    except (EngineError, DeadlineError) as error:
        yield as_event(failure_of(error, scope))


async def deltas_in_time(started: StartedGeneration, seconds: float | None) -> AsyncIterator[Delta]:
    """Yield the pieces of a request as they come, until its time is over.

    Raises
    ------
    DeadlineError
        If that comes first.
    """
    end = asyncio.get_running_loop().time() + seconds if seconds else None
    async with aclosing(started.deltas()) as deltas:
        while (delta := await in_time(anext(deltas, None), end)) is not None:
            yield delta


def as_event(values: dict[str, object]) -> str:
    """Write one server-sent event."""
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"
