"""Pure ASGI middleware around every request: its id, the limit of its body, and a report of how it went."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Literal, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refrain.app.api.http.disconnect import CLIENT_LEFT
from refrain.app.api.http.errors import BodyTooLargeError, refusal
from refrain.inference.engine.metrics import RequestStats

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Any other is a caller's own word, which is not repeated."""
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Finished(NamedTuple):
    """A request that is over.

    Attributes
    ----------
    route
        The template of its path, such as `/models/{name}`; empty where there is none: a path is the caller's own words.
    status
        The status that was sent, or 499.
    ending
        How it ended, whatever its status: a stream may fail, or be left, after a 200.
    error
        The code of the refusal or fault that it ended with.
    finish_reason
        Why it ended, as a metric's label: `abort`, `length` if any of its texts was cut there, else `stop`.
    """

    method: str
    route: str
    request_id: str
    status: int
    seconds: float
    ending: Literal["answered", "failed", "left"]
    error: str
    finish_reason: str
    stats: RequestStats


Listener = Callable[[Finished], None]


class EdgeMiddleware:
    """Follows requests up to the last message of their answer, which is sent after the listeners were called.

    Every response has an `x-request-id`: the caller's own, or a new one. A body over the limit is refused with a 413,
    by its announced length or as it arrives.

    Parameters
    ----------
    listeners
        Called with each request that is over, in its own context, on the event loop.
    max_bytes
        Of a body.
    unlimited
        Paths whose bodies are read as streams.
    """

    def __init__(
        self,
        app: ASGIApp,
        listeners: Sequence[Listener],
        max_bytes: int,
        unlimited: Collection[str] = (),
    ) -> None:
        self._app = app
        self._listeners = listeners
        self._max_bytes = max_bytes
        self._unlimited = unlimited
        self._prefix = secrets.token_hex(8)
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = math.inf if scope["path"] in self._unlimited else self._max_bytes
        new_id = f"{self._prefix}{next(self._numbers):016x}".encode()
        exchange = _Exchange(scope, receive, send, self._listeners, limit, new_id)
        try:
            if exchange.num_announced > limit:
                await exchange.refuse()
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            raise
        except Exception:
            exchange.fail()
            raise
        finally:
            exchange.finish("left")


class _Exchange:
    """One request and its answer, to its only end.

    It begins three things in the scope's `state`: `request_id`; `stats`, what the texts of the request have cost, to
    which drivers add; and `error`, the code of the refusal or fault that it ended with.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        listeners: Sequence[Listener],
        limit: float,
        new_id: bytes,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._listeners = listeners
        self._limit = limit
        self._num_bytes = 0
        self._status = CLIENT_LEFT
        self._started = time.perf_counter()
        self._is_finished = False
        headers = dict(reversed(scope["headers"]))  # of equal ones the first counts
        announced, given = headers.get(b"content-length", b""), headers.get(b"x-request-id", b"")
        self.num_announced = int(announced) if announced.isdigit() else 0
        self._id = given if _REQUEST_ID.fullmatch(given) else new_id
        self._state = scope.setdefault("state", {})
        self._state |= {"request_id": self._id.decode(), "stats": RequestStats(), "error": ""}

    async def receive(self) -> Message:
        """Receive a message, within the limit of a body."""
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._limit:
            raise BodyTooLargeError(self._too_large())
        return message

    async def send(self, message: Message) -> None:
        """Send a message; report the end of the request before its last one."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._id)]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.finish("answered")
        await self._send(message)

    async def refuse(self) -> None:
        """Answer a body that is announced to be too large."""
        headers = {"connection": "close"}
        answer = refusal(self._scope, 413, self._too_large(), None, "body_too_large", headers)
        await answer(self._scope, self._receive, self.send)

    def fail(self) -> None:
        """End it with a fault that nobody foresaw."""
        self._state["error"] = "internal"
        if self._status == CLIENT_LEFT:
            self._status = 500
        self.finish("failed")

    def finish(self, ending: Literal["answered", "failed", "left"]) -> None:
        """Call the listeners, once."""
        if self._is_finished:
            return
        self._is_finished = True
        scope, status, error = self._scope, self._status, self._state["error"]
        stats: RequestStats = self._state["stats"]
        if error:
            ending = "failed"
        elif status == CLIENT_LEFT:
            ending = "left"
        elif status >= 400:
            ending, error = "failed", "http_error"
        reason = "length" if "length" in stats.finish_reasons else "stop"
        finished = Finished(
            method=scope["method"] if scope["method"] in METHODS else "OTHER",
            route=getattr(scope.get("route"), "path", ""),
            request_id=self._state["request_id"],
            status=status,
            seconds=time.perf_counter() - self._started,
            ending=ending,
            error=error,
            finish_reason="abort" if ending == "left" else reason,
            stats=stats,
        )
        for listener in self._listeners:
            listener(finished)

    def _too_large(self) -> str:
        return f"the body is over {self._limit:,} bytes"
