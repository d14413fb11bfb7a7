"""The bytes of a request whose answer is read while its body is still being sent. No input or output here."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from typing import Any

import httpx

from refrain.client.errors import UnexpectedAnswerError, error_of_answer, not_connected

LAST_CHUNK = b"0\r\n\r\n"
BROKE = "the connection broke before the end of the answer"
MAX_HEAD_BYTES = 65_536
BEGINNING = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.\d ([1-5]\d\d)(?: .*)?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_LENGTH = re.compile(rb"(\d{1,18})[ \t]*")


class Exchange:
    """The bytes of one request and its answer.

    Attributes
    ----------
    is_over
        Whether the answer has come to its end.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._url = httpx.URL(request["url"], params=request["params"])
        self._headers: Mapping[str, str] = request["headers"]
        self.timeout: float | None = request["timeout"]
        self.is_over = False
        self._held = bytearray()
        self._status = 0
        self._answer_headers: Mapping[str, str] = {}
        self._refusal = bytearray()
        self._num_bytes = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        is_safe = self._url.scheme == "https"
        return self._url.host, self._url.port or (443 if is_safe else 80)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What encrypts, if the address wants that."""
        return ssl.create_default_context() if self._url.scheme == "https" else None

    def head(self) -> bytes:
        """Encode the request line and the headers."""
        headers = {
            "host": self._url.netloc.decode(),
            "transfer-encoding": "chunked",
            "connection": "close",
            **self._headers,
        }
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        target = self._url.raw_path.decode()
        return f"POST {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()

    @staticmethod
    def chunk(body: bytes) -> bytes:
        """Frame a piece of the body, which must not be empty."""
        return b"%x\r\n%b\r\n" % (len(body), body)

    def take(self, received: bytes) -> bytes:
        """Return the body bytes that received bytes add to a good answer; empty input is the connection's end.

        Raises
        ------
        ClientError
            What a refusal reports, once it is whole; that the connection broke; or that the answer is not HTTP.
        """
        self._held += received
        if not self._status and not self._read_head():
            return self._none_yet(received)
        body = self._unframed()
        if self._status < 300:
            return body or self._none_yet(received)
        self._refusal += body
        if self.is_over or not received:
            raise error_of_answer(self._status, self._answer_headers, bytes(self._refusal))
        return b""

    def _none_yet(self, received: bytes) -> bytes:
        if not received and not self.is_over:
            raise not_connected(BROKE, was_sent=True)
        return b""

    def _read_head(self) -> bool:
        """Read status and headers, if they are there; pass over those before the final ones."""
        while not self._status and (end := self._held.find(b"\r\n\r\n")) >= 0:
            first, _, rest = bytes(self._held[: end + 4]).partition(b"\r\n")
            del self._held[: end + 4]
            status = _number(_STATUS, first)
            if status >= 200:
                self._status = status
                parsed = BytesHeaderParser().parsebytes(rest)
                self._answer_headers = {k.lower(): str(v) for k, v in parsed.items()}
        if not self._status and not self._may_become_head():
            raise UnexpectedAnswerError(
                "the answer is not HTTP; is a Refrain server listening there?"
            )
        return bool(self._status)

    def _may_become_head(self) -> bool:
        is_begun_well = self._held[: len(BEGINNING)] == BEGINNING[: len(self._held)]
        return is_begun_well and len(self._held) <= MAX_HEAD_BYTES

    def _unframed(self) -> bytes:
        """Take the frames off what has come of the body."""
        if self._answer_headers.get("transfer-encoding", "").lower() != "chunked":
            return self._counted()
        parts = []
        while (end := self._held.find(b"\r\n")) >= 0:
            size = _number(_CHUNK_SIZE, bytes(self._held[:end]), base=16)
            if len(self._held) < end + 4 + size:
                break
            parts.append(bytes(self._held[end + 2 : end + 2 + size]))
            del self._held[: end + 4 + size]
            if not size:
                self.is_over = True
                break
        return b"".join(parts)

    def _counted(self) -> bytes:
        """Take what has come of a body whose length is announced."""
        body = bytes(self._held)
        self._held.clear()
        self._num_bytes += len(body)
        length = self._answer_headers.get("content-length")
        self.is_over = length is not None and self._num_bytes >= _number(_LENGTH, length.encode())
        return body


def _number(pattern: re.Pattern[bytes], line: bytes, base: int = 10) -> int:
    """Read the number that a line of an answer has to have."""
    found = pattern.fullmatch(line)
    if not found:
        raise UnexpectedAnswerError(f"the answer is not HTTP: it has the line {line[:80]!r}")
    return int(found[1], base)
