"""A request's body as text, read while it arrives."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator

from starlette.requests import Request

from refrain.models.errors import InvalidParameterError

CHARACTERS_AT_ONCE = 16_384
"""Of a text that came in a body of JSON."""


class TextBody:
    """The text of a request as it arrives, and after it the caller's leaving.

    Parameters
    ----------
    text
        What a body of JSON held; None where the body itself is the text.
    """

    def __init__(self, request: Request, text: str | None) -> None:
        self._request = request
        self._text = text
        self._is_read = asyncio.Event()

    async def chunks(self) -> AsyncIterator[str]:
        """Yield the text, which may be cut anywhere.

        Raises
        ------
        ClientDisconnect
            If the caller leaves before its end.
        InvalidParameterError
            Naming the byte, if it is not UTF-8.
        """
        if self._text is None:
            async for chunk in self._decoded():
                yield chunk
        else:
            text = self._text.removeprefix("\ufeff")
            for first in range(0, len(text), CHARACTERS_AT_ONCE):
                yield text[first : first + CHARACTERS_AT_ONCE]
        self._is_read.set()

    async def _decoded(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        num_bytes = 0
        try:
            async for piece in self._request.stream():
                if text := decoder.decode(piece):
                    yield text
                num_bytes += len(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise InvalidParameterError(
                f"the text is not UTF-8: after byte {num_bytes + error.start}", "body"
            ) from error

    async def cancel_when_gone(self, task: asyncio.Task[None]) -> None:
        """Cancel work whose caller leaves after the body was read."""
        await self._is_read.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        task.cancel()
