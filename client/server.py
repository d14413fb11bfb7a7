"""What both clients know of a server: its address, how a call becomes a request, and how an answer is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from refrain.client.contract.routes import Call
from refrain.client.errors import (
    DeadlineError,
    UnexpectedAnswerError,
    error_of_answer,
    not_connected,
)
from refrain.client.parsing import read

Answer = TypeVar("Answer")
DEFAULT_URL = "http://127.0.0.1:8000"
PATIENCE = 5.0
"""Seconds that an answer about a passed deadline may take."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as a client sees it.

    Attributes
    ----------
    timeout
        Seconds to wait for a connection, or for more of an answer; None waits for ever.
    """

    base_url: str
    headers: Mapping[str, str]
    timeout: float | None

    @classmethod
    def at(cls, base_url: str | None, api_key: str | None, timeout: float | None) -> Server:
        """Describe the server at an address, or at `REFRAIN_URL`, or at this machine's port 8000.

        Raises
        ------
        ValueError
            If the address is not an HTTP one, or the key cannot be sent in a header.
        """
        url = base_url or os.environ.get("REFRAIN_URL") or DEFAULT_URL
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must begin with http:// or https://, not {url!r}")
        try:
            httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"base_url {url!r} is not a valid address: {error}") from error
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key must be one line of ASCII characters")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        return cls(url.rstrip("/"), headers, timeout)

    def request(self, call: Call[Any], content: Any = None) -> dict[str, Any]:
        """Return the arguments for `build_request` of either kind of httpx client."""
        arguments: dict[str, Any] = {
            "method": call.route.method,
            "url": self.base_url + call.path,
            "headers": self.headers,
            "timeout": self._timeout(call),
        }
        if call.route.in_query:
            arguments["params"] = {key: _in_query(value) for key, value in call.values.items()}
            arguments["headers"] = {**self.headers, "content-type": "text/plain; charset=utf-8"}
            arguments["content"] = content
        elif call.route.method == "POST":
            arguments["json"] = dict(call.values)
        return arguments

    def _timeout(self, call: Call[Any]) -> float | None:
        """Wait at least as long as the server may take to report that a deadline passed."""
        if self.timeout is None or call.deadline is None:
            return self.timeout
        return max(self.timeout, call.deadline + PATIENCE)


def _in_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(response: httpx.Response) -> None:
    """Raise the error of a response whose status is a bad one; such a response must have been read.

    Raises
    ------
    ClientError
        The error that the refusal reports.
    """
    if not response.is_success:
        raise error_of_answer(response.status_code, response.headers, response.content)


def answer_of(call: Call[Answer], response: httpx.Response) -> Answer:
    """Read a whole answer.

    Raises
    ------
    UnexpectedAnswerError
        If a Refrain server would not answer so.
    """
    values = None
    if response.status_code != 204:
        try:
            values = json.loads(response.content)
        except ValueError as error:
            raise UnexpectedAnswerError(
                f"{response.url} does not answer as a Refrain server"
            ) from error
    return read(call.route.answer, values)


@contextmanager
def as_client_errors() -> Iterator[None]:
    """Raise what httpx raises as this package's errors."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise not_connected(f"cannot connect: {_words(error)}", was_sent=False) from error
    except httpx.TimeoutException as error:
        raise DeadlineError(f"no answer in time: {_words(error)}") from error
    except httpx.TransportError as error:
        raise not_connected(f"the connection broke: {_words(error)}", was_sent=True) from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
