"""Pure ASGI middleware: a limit for bodies, and an id for every request."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import BodyTooLargeError, refusal

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def _header(scope: Scope, name: bytes) -> bytes:
    """Find a header, by its name in small letters; empty where there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")


class RequestIdMiddleware:
    """Gives every response an `x-request-id`: the caller's own, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._prefix = secrets.token_hex(8)
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _header(scope, b"x-request-id")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._prefix}{next(self._numbers):016x}".encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self._app(scope, receive, send_with_id)


class BodyLimitMiddleware:
    """Refuses bodies over a limit with a 413, by their announced length or as they arrive.

    Parameters
    ----------
    unlimited
        Paths whose bodies are read as streams.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, unlimited: Collection[str] = ()) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] in self._unlimited:
            await self._app(scope, receive, send)
            return
        announced = _header(scope, b"content-length")
        if announced.isdigit() and int(announced) > self._max_bytes:
            refused = refusal(413, self._message(), None, "body_too_large", {"connection": "close"})
            await refused(scope, receive, send)
            return
        num_bytes = 0

        async def counted() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._max_bytes:
                raise BodyTooLargeError(self._message())
            return message

        await self._app(scope, counted, send)

    def _message(self) -> str:
        return f"the body is over {self._max_bytes:,} bytes"
