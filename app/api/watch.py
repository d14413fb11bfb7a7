"""Pure ASGI middleware that watches each request, and tells those who listen how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.engine import tally
from app.engine.tally import Tally

CLIENT_LEFT = 499
"""The status of an answer that nobody waited for."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Any other is a caller's own word, which is not repeated."""


@dataclass(frozen=True)
class Finished:
    """A request that is over.

    Attributes
    ----------
    route
        The template of its path, such as `/models/{name}`; empty where there is none: a path is the caller's own words.
    status
        The status that was sent, or 499.
    ending
        How it ended, whatever its status: a stream may fail, or be left, after a 200.
    """

    method: str
    route: str
    request_id: str
    status: int
    seconds: float
    ending: Literal["answered", "failed", "left"]
    tally: Tally

    @property
    def finish_reason(self) -> str:
        """Why it ended, as a metric's label: `abort`, `length` if any of its texts was cut there, else `stop`."""
        if self.ending == "left":
            return "abort"
        return "length" if "length" in self.tally.finish_reasons else "stop"


Listener = Callable[[Finished], None]


class WatchMiddleware:
    """Watches requests up to the last message of their answer, which is sent after the listeners have been told.

    Parameters
    ----------
    listeners
        Called with each request that is over, in its own context, on the event loop.
    """

    def __init__(self, app: ASGIApp, listeners: Sequence[Listener]) -> None:
        self._app = app
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watched = _Watched(scope, self._listeners)

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                watched.status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                watched.finish("answered")
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            raise
        except Exception:
            watched.fail()
            raise
        finally:
            watched.finish("left")


class _Watched:
    """One request, from its beginning to its only end."""

    def __init__(self, scope: Scope, listeners: Sequence[Listener]) -> None:
        self._scope = scope
        self._listeners = listeners
        self._tally = tally.begin()
        self._started = time.perf_counter()
        self._is_finished = False
        self.status = CLIENT_LEFT

    def fail(self) -> None:
        """End it with a fault that nobody foresaw."""
        self._tally.error = "internal"
        if self.status == CLIENT_LEFT:
            self.status = 500
        self.finish("failed")

    def finish(self, ending: Literal["answered", "failed", "left"]) -> None:
        """Tell the listeners, once."""
        if self._is_finished:
            return
        self._is_finished = True
        if self._tally.error:
            ending = "failed"
        elif self.status == CLIENT_LEFT:
            ending = "left"
        elif self.status >= 400:
            ending, self._tally.error = "failed", "http_error"
        method = self._scope["method"]
        finished = Finished(
            method=method if method in METHODS else "OTHER",
            route=getattr(self._scope.get("route"), "path", ""),
            request_id=self._scope.get("state", {}).get("request_id", ""),
            status=self.status,
            seconds=time.perf_counter() - self._started,
            ending=ending,
            tally=self._tally,
        )
        for listener in self._listeners:
            listener(finished)
