"""The service over a folder of checkpoints: asked in process, or over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from refrain.app.main import create_app
from refrain.app.services.registry import Registry
from refrain.app.settings import Settings

Body = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]
LIMIT = 60


class Applications:
    """Applications by their settings, each made once, on one event loop that a thread of its own runs.

    A service takes longer to make than most tests take to ask it. Whoever asks leaves neither tasks nor sessions
    behind; an application that somebody was not content with is not asked again.
    """

    def __init__(self, checkpoints: Path) -> None:
        self._checkpoints = checkpoints
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._open: dict[object, tuple[FastAPI, asyncio.Event, Future[None]]] = {}

    def ask(self, body: Body, *, is_fresh: bool = False, **settings: object) -> None:
        """Run a coroutine with a client of an application of these settings; a fresh one has served nobody before."""
        key = object() if is_fresh else tuple(sorted(settings.items()))
        if key not in self._open:
            self._open[key] = self._begin(Settings(models=self._checkpoints, **settings))
        app, _, _ = self._open[key]
        is_content = False
        try:
            self._run(_ask_and_leave_nothing(app, body))
            is_content = True
        finally:
            if is_fresh or not is_content:
                self._end(key)

    def close(self) -> None:
        """Stop every application, and the loop."""
        for key in list(self._open):
            self._end(key)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, LIMIT), self._loop).result()

    def _begin(self, settings: Settings) -> tuple[FastAPI, asyncio.Event, Future[None]]:
        app, started, stop = create_app(settings), threading.Event(), asyncio.Event()

        async def live() -> None:
            async with app.router.lifespan_context(app):
                started.set()
                await stop.wait()

        living = asyncio.run_coroutine_threadsafe(live(), self._loop)
        assert started.wait(LIMIT)
        return app, stop, living

    def _end(self, key: object) -> None:
        _, stop, living = self._open.pop(key)
        self._loop.call_soon_threadsafe(stop.set)
        living.result(LIMIT)


async def ask_app(app: FastAPI, body: Body) -> None:
    """Run a coroutine with a client of an application that lives already; close the sessions that it opens."""
    opened: list[str] = []

    async def note(response: httpx.Response) -> None:
        if response.request.url.path == "/sessions" and response.status_code == 200:
            opened.append(json.loads(await response.aread())["session"])

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    hooks = {"response": [note]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", timeout=30, event_hooks=hooks
    ) as client:
        try:
            await body(client)
        finally:
            for session in opened:
                await client.delete(f"/sessions/{session}")


async def _ask_and_leave_nothing(app: FastAPI, body: Body) -> None:
    before = asyncio.all_tasks()
    try:
        await ask_app(app, body)
    finally:
        left = asyncio.all_tasks() - before
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


@dataclass(frozen=True)
class Service:
    """A running service."""

    address: str
    registry: Registry


def startup_of(server: uvicorn.Server) -> threading.Event:
    """Return what is set as soon as a server that will run has started."""
    started, startup = threading.Event(), server.startup

    async def start(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = start  # type: ignore[method-assign]
    return started


@contextmanager
def listening(settings: Settings) -> Iterator[Service]:
    """Run a service on a free port, on a thread of its own."""
    app = create_app(settings)
    config = uvicorn.Config(app, log_level="warning", ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    started = startup_of(server)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert started.wait(LIMIT)
    try:
        yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.registry)
    finally:
        server.should_exit = True
        thread.join(LIMIT)
    assert not thread.is_alive()
