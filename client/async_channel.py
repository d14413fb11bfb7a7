"""How calls reach a server and answers come back, on an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from refrain.client.chunks import AsyncChunks, async_encoded, is_whole
from refrain.client.contract.routes import Call
from refrain.client.duplex import async_talk
from refrain.client.errors import ClientError
from refrain.client.lines import LineSplitter
from refrain.client.retries import Attempts, Retries
from refrain.client.server import Server, answer_of, as_client_errors, check

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class AsyncChannel:
    """What `Channel` is, on an event loop."""

    server: Server
    http: httpx.AsyncClient
    is_direct: bool
    retries: Retries
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]

    async def ask(self, call: Call[Answer]) -> Answer:
        """Return a whole answer."""
        async with aclosing(await self._send(call)) as response:
            with as_client_errors():
                await response.aread()
        return answer_of(call, response)

    async def lines(
        self, call: Call[Any], text: AsyncChunks | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer as they come; a text is sent before."""
        splitter = LineSplitter()
        async with aclosing(await self._send(call, text)) as response:
            with as_client_errors():
                async for some in response.aiter_bytes():
                    for line in splitter.push(some):
                        yield line

    async def talk(self, call: Call[Any], text: AsyncChunks) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer as they come, even while the text is being sent."""
        source = self._talk_directly(call, text) if self.is_direct else self.lines(call, text)
        async with aclosing(source) as lines:
            async for line in lines:
                yield line

    async def _talk_directly(
        self, call: Call[Any], text: AsyncChunks
    ) -> AsyncGenerator[bytes, None]:
        splitter = LineSplitter()
        attempts = self._attempts(call, text)
        has_begun = False
        while True:
            request = self.server.request(call)
            async with aclosing(async_talk(request, async_encoded(text))) as received:
                try:
                    async for some in received:
                        has_begun = True
                        for line in splitter.push(some):
                            yield line
                except ClientError as error:
                    if has_begun:
                        raise
                    wait = attempts.wait_after(error)
                else:
                    return
            await self.sleep(wait)

    async def _send(self, call: Call[Any], text: AsyncChunks | None = None) -> httpx.Response:
        """Send a request, again where that may help, and return the response as it begins."""
        attempts = self._attempts(call, text)
        while True:
            try:
                return await self._send_once(call, text)
            except ClientError as error:
                wait = attempts.wait_after(error)
            await self.sleep(wait)

    async def _send_once(self, call: Call[Any], text: AsyncChunks | None) -> httpx.Response:
        content = None if text is None else async_encoded(text)
        with as_client_errors():
            request = self.http.build_request(**self.server.request(call, content))
            response = await self.http.send(request, stream=True)
            if not response.is_success:
                async with aclosing(response):
                    await response.aread()
        check(response)
        return response

    def _attempts(self, call: Call[Any], text: AsyncChunks | None) -> Attempts:
        is_replayable = text is None or is_whole(text)
        return Attempts(self.retries, call, self.clock, is_replayable=is_replayable)
