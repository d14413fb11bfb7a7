"""Errors to HTTP: one table, one body shape on every route.

Body: {"error": {"message", "type", "param", "code"}}, all four keys, always.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Scope

from refrain.app.api.http.disconnect import CLIENT_LEFT, ClientLeftError, DeadlineError
from refrain.app.services.errors import (
    ServiceError,
    StaleStateError,
    TooManySessionsError,
    UnknownSessionError,
)
from refrain.inference.errors import (
    EndedTextError,
    EngineError,
    EngineFailureError,
    EngineStoppedError,
    ModelChoiceError,
    QueueFullError,
    RequestTooLargeError,
    TextTooLongError,
    UnknownModelError,
    WrongTaskError,
)
from refrain.models.errors import InvalidParameterError, RefrainError, StateError

logger = logging.getLogger("refrain")

RETRY_AFTER_SECONDS = "1"


class BodyTooLargeError(Exception):
    """A body over the limit."""


@dataclass(frozen=True)
class Row:
    """What an error becomes."""

    status: int
    type: str
    code: str


TABLE: dict[type[Exception], Row] = {
    UnknownModelError: Row(404, "invalid_request_error", "model_not_found"),
    WrongTaskError: Row(400, "invalid_request_error", "wrong_task"),
    TextTooLongError: Row(400, "invalid_request_error", "text_too_long"),
    InvalidParameterError: Row(400, "invalid_request_error", "invalid_value"),
    StaleStateError: Row(412, "invalid_request_error", "stale_state"),
    StateError: Row(412, "invalid_request_error", "stale_state"),
    UnknownSessionError: Row(404, "invalid_request_error", "session_not_found"),
    TooManySessionsError: Row(503, "overloaded_error", "too_many_sessions"),
    DeadlineError: Row(504, "timeout_error", "deadline_passed"),
    ServiceError: Row(400, "invalid_request_error", "invalid_request"),
    ModelChoiceError: Row(400, "invalid_request_error", "invalid_request"),
    RequestTooLargeError: Row(400, "invalid_request_error", "too_many_texts"),
    EndedTextError: Row(400, "invalid_request_error", "ended_text"),
    QueueFullError: Row(503, "overloaded_error", "overloaded"),
    EngineStoppedError: Row(503, "overloaded_error", "stopping"),
    EngineFailureError: Row(500, "server_error", "engine_failure"),
    EngineError: Row(500, "server_error", "engine_error"),
    RefrainError: Row(500, "server_error", "internal"),
}
OTHER_CODES = (
    *("body_too_large", "invalid_body", "not_found", "method_not_allowed", "http_error"),
    "internal",
)
CODES = tuple(dict.fromkeys((*(row.code for row in TABLE.values()), *OTHER_CODES)))
"""All codes that an error body may have; metrics count failures by them."""


def row_of(error: Exception) -> Row:
    """Find the row of an error: its own, or the nearest ancestor's."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def error_body(message: str, kind: str, param: str | None, code: str) -> dict[str, object]:
    """Make the body that every refusal has."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def body_of(error: Exception) -> dict[str, object]:
    """Make the body of an error of the table."""
    row = row_of(error)
    return error_body(str(error), row.type, getattr(error, "param", None), row.code)


def failure_of(error: Exception, scope: Scope) -> dict[str, object]:
    """Make the body of an error that ends a request, which is a failed one from here on."""
    scope["state"]["error"] = row_of(error).code
    return body_of(error)


def refusal(
    scope: Scope,
    status: int,
    message: str,
    param: str | None,
    code: str,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Refuse a request for what the caller can mend."""
    scope["state"]["error"] = code
    return JSONResponse(error_body(message, "invalid_request_error", param, code), status, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Turn every error into a response of the one shape."""
    app.add_exception_handler(ClientLeftError, _client_left)
    app.add_exception_handler(RefrainError, _known)
    app.add_exception_handler(DeadlineError, _known)
    app.add_exception_handler(BodyTooLargeError, _too_large)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _client_left(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


async def _known(request: Request, error: Exception) -> JSONResponse:
    row = row_of(error)
    headers = {"retry-after": RETRY_AFTER_SECONDS} if row.status == 503 else None
    if row.status == 500:
        logger.error("engine failure: %s", row.code, exc_info=error)
    return JSONResponse(failure_of(error, request.scope), row.status, headers)


async def _too_large(request: Request, error: Exception) -> JSONResponse:
    return refusal(request.scope, 413, str(error), None, "body_too_large")


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Name the first fault of a body: where it is and what is wrong; never echo the value."""
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    if fault["type"] in ("json_invalid", "model_type") and not fault["loc"]:
        message = f"the body is not a JSON object: {fault['msg']}"
        if "key must be a string" in message:
            message += "; names and strings take double quotes"
        return refusal(request.scope, 400, message, None, "invalid_body")
    if fault["type"] == "unknown_field":
        name = str(fault["ctx"]["name"])[:100]
        return refusal(request.scope, 400, str(fault["msg"])[:500], name, "invalid_value")
    path = [str(part) for part in fault["loc"] if _is_field(part)]
    param = ".".join(path) or fault.get("ctx", {}).get("name")
    return refusal(request.scope, 400, f"{param or 'body'}: {fault['msg']}", param, "invalid_value")


def _methods(error: HTTPException) -> str:
    return (error.headers or {}).get("Allow", "POST")


def _is_field(part: int | str) -> bool:
    """Return whether a part of a location is a field or an index, not what pydantic and FastAPI add to it."""
    return isinstance(part, int) or (part.isidentifier() and part not in ("body", "query", "str"))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is no {request.url.path}; /docs lists the routes",
        405: f"{request.url.path} does not take {request.method}; it takes {_methods(error)}",
    }.get(error.status_code, str(error.detail))
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return refusal(request.scope, error.status_code, message, None, code, error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Answer what nobody foresaw; this runs outside of every middleware, so their headers are added here."""
    request_id = getattr(request.state, "request_id", "")
    headers = {"x-request-id": request_id}
    if admitted := {"*", request.headers.get("origin")} & set(request.app.state.cors_origins):
        headers |= {"access-control-allow-origin": admitted.pop(), "vary": "origin"}
    logger.error("unexpected error in request %s", request_id, exc_info=error)
    body = error_body("an unexpected error", "server_error", None, "internal")
    return JSONResponse(body, 500, headers)
