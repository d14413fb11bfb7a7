"""Bodies as strict JSON: what Python's reader lets pass and no client can mean is a clear 400."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.api.errors import BadRequestError


def parse_body(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    BadRequestError
        For no JSON, another encoding, NaN or infinity, a number out of range, a lone surrogate, too deep a
        nesting, or anything but an object.
    """
    if not body.strip():
        raise BadRequestError("the body is empty; send a JSON object")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not UTF-8: byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise BadRequestError(
            "the body has half of a surrogate pair, which is no character"
        ) from error
    except json.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadRequestError("the body is nested too deeply") from error
    except ValueError as error:
        raise BadRequestError(f"the body has a number out of range: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError("the body is no JSON object, as in {...}")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is infinite as a float")
    return number


class StrictJSONRoute(APIRoute):
    """A route whose body is read by `parse_body`, whatever its content type says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read the body before FastAPI does."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method != "POST":
                return await handler(request)
            parsed = parse_body(await request.body())
            headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            headers.append((b"content-type", b"application/json"))
            strict = Request({**request.scope, "headers": headers}, request.receive)
            strict._body = await request.body()
            strict._json = parsed
            return await handler(strict)

        return handle
