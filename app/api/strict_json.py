"""Bodies as strict JSON, read by pydantic straight from the bytes: what no client can mean is a clear 400."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

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
        raise RequestValidationError(error.errors(include_url=False)) from error


class StrictJSONRoute(APIRoute):
    """A route whose body is read by `parse_body`, whatever its content type says.

    FastAPI describes it; between the bytes and the endpoint stands nothing else, for its general way of finding
    arguments takes longer than a short answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Call the endpoint with `body`, `request` and what the path names."""
        if self.body_field is None:
            return super().get_route_handler()
        kind = self.body_field.field_info.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)

        async def handle(request: Request) -> Response:
            body = parse_body(kind, await request.body())
            response: Response = await self.endpoint(
                body=body, request=request, **request.path_params
            )
            return response

        return handle
