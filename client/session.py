"""A text that grows on the server, for both clients."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

from refrain.client.async_channel import AsyncChannel
from refrain.client.channel import Channel
from refrain.client.contract import parameters, routes
from refrain.client.contract.answers.prediction import SessionInfo, SessionNext
from refrain.client.contract.routes import Call
from refrain.client.errors import ConnectionFailedError, NotFoundError

GONE = (NotFoundError, ConnectionFailedError)
"""Errors that closing a session passes over: the server forgets idle ones by itself."""


class _Known:
    """What the server has reported of a session.

    Attributes
    ----------
    id, model, num_tokens
        Known once it is open; the word under way is not among the tokens.
    """

    def __init__(self, opening: Call[SessionInfo]) -> None:
        self._opening = opening
        self.id = ""
        self.model = ""
        self.num_tokens = 0

    def _keep(self, found: SessionInfo) -> SessionInfo:
        self.id, self.model, self.num_tokens = found.session, found.model, found.num_tokens
        return found


class Session(_Known):
    """A text that grows on the server, and is forgotten at the end of a `with` block."""

    def __init__(self, channel: Channel, opening: Call[SessionInfo]) -> None:
        super().__init__(opening)
        self._channel = channel

    def open(self) -> Self:
        """Begin the text."""
        self._keep(self._channel.ask(self._opening))
        return self

    def append(self, text: str, **options: Unpack[parameters.Timed]) -> SessionInfo:
        """Add what was typed; a word may be cut anywhere."""
        call = routes.SESSION_APPEND.call({"text": text, **options}, session=self.id)
        return self._keep(self._channel.ask(call))

    def next(self, **options: Unpack[parameters.SessionNextOptions]) -> SessionNext:
        """Predict what comes next."""
        return self._channel.ask(routes.SESSION_NEXT.call({**options}, session=self.id))

    def close(self) -> None:
        """Have the server forget the text."""
        self._channel.ask(routes.SESSION_CLOSE.call(session=self.id))

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(*GONE):
            self.close()


class AsyncSession(_Known):
    """What `Session` is, on an event loop."""

    def __init__(self, channel: AsyncChannel, opening: Call[SessionInfo]) -> None:
        super().__init__(opening)
        self._channel = channel

    async def open(self) -> Self:
        """Begin the text."""
        self._keep(await self._channel.ask(self._opening))
        return self

    async def append(self, text: str, **options: Unpack[parameters.Timed]) -> SessionInfo:
        """Add what was typed; a word may be cut anywhere."""
        call = routes.SESSION_APPEND.call({"text": text, **options}, session=self.id)
        return self._keep(await self._channel.ask(call))

    async def next(self, **options: Unpack[parameters.SessionNextOptions]) -> SessionNext:
        """Predict what comes next."""
        return await self._channel.ask(routes.SESSION_NEXT.call({**options}, session=self.id))

    async def close(self) -> None:
        """Have the server forget the text."""
        await self._channel.ask(routes.SESSION_CLOSE.call(session=self.id))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(*GONE):
            await self.close()
