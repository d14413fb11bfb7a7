"""What may go wrong between a client and a server.

* ClientError
  - InvalidRequestError     400, 412, 413 and alike: the caller can correct it
  - NotAllowedError         401, 403: no key, or one that may not do this
  - NotFoundError           404: no such model, session or route
  - OverloadedError         429, 503: come back after `retry_after` seconds
  - DeadlineError           504, or the client's own timeout passed
  - ServerError             500 and what else a server breaks with
  - ConnectionFailedError   nobody listens, or the connection broke
  - UnexpectedAnswerError   an answer that is not one of a Refrain server
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Root of what may go wrong.

    Attributes
    ----------
    message
        What went wrong, and often what to do.
    type, param, code
        Its kind, the field at fault, and a name for programs. None where no server answered.
    status
        Of the answer; None where there was none, or where it had begun well, as a stream's.
    request_id
        The answer's `x-request-id`, by which the server's log may be searched.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,  # noqa: A002 (the contract's own name)
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.status = status
        self.request_id = request_id


class InvalidRequestError(ClientError):
    """The request is at fault; `param` names the field."""


class NotAllowedError(ClientError):
    """No key was given, or one that may not do this."""


class NotFoundError(ClientError):
    """No such model, session or route."""


class OverloadedError(ClientError):
    """The server, or a key's own limit, has no room now; `retry_after` is in seconds, if the server named it."""

    retry_after: float | None = None


class DeadlineError(ClientError):
    """The request's own deadline passed, or the client waited no longer."""


class ServerError(ClientError):
    """The server broke; its log knows more."""


class ConnectionFailedError(ClientError):
    """Nobody listens there, or the connection broke.

    Attributes
    ----------
    was_sent
        Whether the request may have reached the server before.
    """

    was_sent: bool = True


class UnexpectedAnswerError(ClientError):
    """An answer that this client cannot read."""


_BY_STATUS: Mapping[int, type[ClientError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    429: OverloadedError,
    503: OverloadedError,
    504: DeadlineError,
}
_BY_TYPE: Mapping[str, type[ClientError]] = {
    "invalid_request_error": InvalidRequestError,
    "overloaded_error": OverloadedError,
    "timeout_error": DeadlineError,
}


def error_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    """Return the error of a refusal; `headers` have lower-case names."""
    if status < 400:
        return UnexpectedAnswerError(
            f"status {status} is not one of a Refrain server", status=status
        )
    kind = _BY_STATUS.get(status, InvalidRequestError if status < 500 else ServerError)
    error = _make(kind, _detail(body) or {"message": f"the server answered {status}"})
    error.status = status
    error.request_id = headers.get("x-request-id")
    if isinstance(error, OverloadedError):
        error.retry_after = _seconds(headers.get("retry-after", ""))
    return error


def error_of_detail(detail: Mapping[str, Any]) -> ClientError:
    """Return the error that a stream reports after it has begun, without a status."""
    kind = _BY_TYPE.get(str(detail.get("type")), ServerError)
    if str(detail.get("code")).endswith("_not_found"):
        kind = NotFoundError
    return _make(kind, detail)


def not_connected(message: str, *, was_sent: bool) -> ConnectionFailedError:
    """Return the error of a connection that failed."""
    error = ConnectionFailedError(message)
    error.was_sent = was_sent
    return error


def _make(kind: type[ClientError], detail: Mapping[str, Any]) -> ClientError:
    return kind(
        str(detail.get("message", "the server gave no reason")),
        type=detail.get("type"),
        param=detail.get("param"),
        code=detail.get("code"),
    )


def _detail(body: bytes) -> Mapping[str, Any] | None:
    """Find `{"error": {...}}` in a body; None if there is none."""
    try:
        detail = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError):
        return None
    return detail if isinstance(detail, dict) else None


def _seconds(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None
