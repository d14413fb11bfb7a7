"""How calls reach a server and answers come back, for code that waits."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from refrain.client.chunks import Chunks, encoded, is_whole
from refrain.client.contract.routes import Call
from refrain.client.duplex import talk
from refrain.client.errors import ClientError
from refrain.client.lines import LineSplitter
from refrain.client.retries import Attempts, Retries
from refrain.client.server import Server, answer_of, as_client_errors, check

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to one server.

    Attributes
    ----------
    is_direct
        Whether a text of any length may go over a socket of its own.
    """

    server: Server
    http: httpx.Client
    is_direct: bool
    retries: Retries
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def ask(self, call: Call[Answer]) -> Answer:
        """Return a whole answer."""
        with closing(self._send(call)) as response, as_client_errors():
            response.read()
        return answer_of(call, response)

    def lines(self, call: Call[Any], text: Chunks | None = None) -> Generator[bytes, None, None]:
        """Yield the lines of an answer as they come; a text is sent before."""
        splitter = LineSplitter()
        with closing(self._send(call, text)) as response, as_client_errors():
            for some in response.iter_bytes():
                yield from splitter.push(some)

    def talk(self, call: Call[Any], text: Chunks) -> Generator[bytes, None, None]:
        """Yield the lines of an answer as they come, even while the text is being sent."""
        if not self.is_direct:
            yield from self.lines(call, text)
            return
        splitter = LineSplitter()
        attempts = self._attempts(call, text)
        has_begun = False
        while True:
            with closing(talk(self.server.request(call), encoded(text))) as received:
                try:
                    for some in received:
                        has_begun = True
                        yield from splitter.push(some)
                except ClientError as error:
                    if has_begun:
                        raise
                    wait = attempts.wait_after(error)
                else:
                    return
            self.sleep(wait)

    def _send(self, call: Call[Any], text: Chunks | None = None) -> httpx.Response:
        """Send a request, again where that may help, and return the response as it begins."""
        attempts = self._attempts(call, text)
        while True:
            try:
                return self._send_once(call, text)
            except ClientError as error:
                wait = attempts.wait_after(error)
            self.sleep(wait)

    def _send_once(self, call: Call[Any], text: Chunks | None) -> httpx.Response:
        content = None if text is None else encoded(text)
        with as_client_errors():
            request = self.http.build_request(**self.server.request(call, content))
            response = self.http.send(request, stream=True)
            if not response.is_success:
                with closing(response):
                    response.read()
        check(response)
        return response

    def _attempts(self, call: Call[Any], text: Chunks | None) -> Attempts:
        is_replayable = text is None or is_whole(text)
        return Attempts(self.retries, call, self.clock, is_replayable=is_replayable)
