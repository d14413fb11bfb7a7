"""Work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for work, but cancel it as soon as the caller has left.

    Raises
    ------
    ClientLeftError
        If the caller left first.
    """
    task = asyncio.current_task()
    assert task is not None
    watch = asyncio.ensure_future(_cancel_when_gone(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        if watch.done() and not watch.cancelled():
            task.uncancel()
            raise ClientLeftError from None
        raise
    finally:
        watch.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
