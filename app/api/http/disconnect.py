"""Work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")
CLIENT_LEFT = 499
"""The status of an answer that nobody waited for."""


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class DeadlineError(Exception):
    """The caller's time, or the server's patience, is over."""


def seconds_left(request: Request, seconds: float | None) -> float | None:
    """Return how long a request may take: what the caller allows, and no longer than the server's own limit."""
    limit: float = request.app.state.request_timeout
    return seconds if not limit else min(seconds or limit, limit)


async def in_time(work: Awaitable[Result], end: float | None) -> Result:
    """Wait for work until a time of the event loop.

    Raises
    ------
    DeadlineError
        If that came first; the work is cancelled.
    """
    if end is None:
        return await work
    try:
        async with asyncio.timeout_at(end):
            return await work
    except TimeoutError as error:
        raise DeadlineError("the deadline passed before the answer was ready") from error


async def while_connected(
    request: Request, work: Coroutine[Any, Any, Result], seconds: float | None = None
) -> Result:
    """Wait for work, but cancel it as soon as the caller has left or its time is over.

    Raises
    ------
    ClientLeftError
        If the caller left first.
    DeadlineError
        If the time was over first.
    """
    task = asyncio.current_task()
    assert task is not None
    leaving = asyncio.ensure_future(_cancel_when_gone(request, task))
    left = seconds_left(request, seconds)
    try:
        return await (in_time(work, task.get_loop().time() + left) if left else work)
    except asyncio.CancelledError:
        if leaving.done() and not leaving.cancelled():
            task.uncancel()
            raise ClientLeftError from None
        raise
    finally:
        leaving.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
