"""Server-sent events: pieces of text as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.disconnect import DeadlineError, in_time
from app.api.errors import failure_of
from app.api.schemas.generate import TokenAlternative, TokenLogprobAnswer, UsageAnswer
from app.engine.errors import EngineError
from app.services.choice import Piece, TokenLogprob
from app.services.generation import Generation, Usage
from app.services.state_token import StateTokens

DONE = "data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """The events of a request that has been queued already.

    Frees what is being written when the caller has left, even before the first event.
    """

    def __init__(self, events: AsyncGenerator[str, None], generation: Generation) -> None:
        self._events = events
        super().__init__(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            self._generation.abort()


async def events(
    generation: Generation, states: StateTokens, seconds: float | None
) -> AsyncGenerator[str, None]:
    """Give one event a piece, one with seed and usage at the end, and `[DONE]`; for so many seconds at most.

    A fault after the start is an event `{"error": ...}`, and the stream ends without `[DONE]`.
    """
    try:
        async for piece in pieces_in_time(generation, seconds):
            if piece.text or piece.finish_reason or piece.logprobs:
                values = _piece(piece)
                if piece.state:
                    values["state"] = states.seal(generation.model, piece.state)
                yield as_event(values)
        usage = usage_answer(generation.usage).model_dump()
        yield as_event(
            {"model": generation.model.checkpoint.name, "seed": generation.seed, "usage": usage}
        )
        yield DONE
    except (EngineError, DeadlineError) as error:
        yield event_of_fault(error)


async def pieces_in_time(generation: Generation, seconds: float | None) -> AsyncIterator[Piece]:
    """Give the pieces of a request as they come, until its time is over.

    Raises
    ------
    DeadlineError
        If that comes first.
    """
    end = asyncio.get_running_loop().time() + seconds if seconds else None
    async with aclosing(generation.pieces()) as pieces:
        while (piece := await in_time(anext(pieces, None), end)) is not None:
            yield piece


def event_of_fault(error: Exception) -> str:
    """Tell a caller whose answer has begun what went wrong."""
    return as_event(failure_of(error))


def usage_answer(usage: Usage) -> UsageAnswer:
    """Say how many tokens were read and written."""
    return UsageAnswer(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )


def logprob_answers(logprobs: list[TokenLogprob]) -> list[TokenLogprobAnswer]:
    """Say how likely written tokens were."""
    return [
        TokenLogprobAnswer(
            token=entry.token,
            logprob=entry.logprob,
            top=[TokenAlternative(token=t, logprob=p) for t, p in entry.top],
        )
        for entry in logprobs
    ]


def _piece(piece: Piece) -> dict[str, object]:
    values: dict[str, object] = {
        "index": piece.index,
        "text": piece.text,
        "finish_reason": piece.finish_reason,
    }
    if piece.logprobs:
        values["logprobs"] = [answer.model_dump() for answer in logprob_answers(piece.logprobs)]
    return values


def as_event(values: dict[str, object]) -> str:
    """Write one server-sent event."""
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"
