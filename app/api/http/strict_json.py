"""Bodies as strict JSON, read by pydantic straight from the bytes: what no client can mean is a clear 400."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from refrain.app.api.http.disconnect import ClientLeftError

LONG_BODY = 100_000
"""Bytes above which a body is read on another thread."""
BodyT = TypeVar("BodyT", bound=BaseModel)


def parse_body(kind: type[BodyT], body: bytes) -> BodyT:
    """Read a JSON object as a body of one kind.

    Raises
    ------
    RequestValidationError
        For no JSON, another encoding, NaN or infinity, a lone surrogate, too deep a nesting, anything but an object,
        and every value that the body cannot take.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise RequestValidationError(faults[:1]) from error


class StrictJSONRoute(APIRoute):
    """A route whose body is read by `parse_body`, whatever its content type.

    FastAPI describes it; between the bytes and the endpoint stands nothing else, for its general way of finding
    arguments takes longer than a short answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Call the endpoint with `body`, `request` and what the path names."""
        if self.body_field is None:
            return super().get_route_handler()
        wanted = [param.name for param in self.dependant.path_params]
        kind = self.body_field.field_info.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)

        async def handle(request: Request) -> Response:
            try:
                packed = await request.body()
            except ClientDisconnect as error:
                raise ClientLeftError from error
            if len(packed) > LONG_BODY:
                body = await asyncio.to_thread(parse_body, kind, packed)
            else:
                body = parse_body(kind, packed)
            named = {name: request.path_params[name] for name in wanted}
            response: Response = await self.endpoint(body=body, request=request, **named)
            return response

        return handle
