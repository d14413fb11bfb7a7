"""What every group of routes shares: strict bodies, the refusals that any of them may answer with, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic_core import to_json

from refrain.app.api.http.strict_json import StrictJSONRoute
from refrain.app.api.schemas.body import ErrorAnswer
from refrain.app.services.serving import Asked
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.engine.metrics import RequestStats

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A fault in the body; `param` names the field."},
    404: {"model": ErrorAnswer, "description": "No such model is loaded."},
    412: {"model": ErrorAnswer, "description": "The state is of another version of the model."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    504: {"model": ErrorAnswer, "description": "The deadline passed."},
    503: {
        "model": ErrorAnswer,
        "description": "Too many texts wait; come back after `Retry-After`.",
    },
}


def model_router(theme: str) -> APIRouter:
    """Make the router of one theme."""
    return APIRouter(tags=[theme], route_class=StrictJSONRoute, responses=REFUSALS)


def asked_by(request: Request, model: str | None = None, state: str | None = None) -> Asked:
    """Return who asks, of which model, from which state on.

    Callers take turns by their address, and what one had read is not shared with another.
    """
    client = request.scope.get("client")
    stats: RequestStats = request.scope["state"]["stats"]
    return Asked(Caller(client[0] if client else "", stats), model, state)


def json_response(answer: Mapping[str, object]) -> Response:
    """Write an answer of a known shape; FastAPI would check it once more, which costs more than all the rest."""
    content = to_json(answer, inf_nan_mode="null")
    return Response(content, media_type="application/json")


def leave_out_validation_errors(app: FastAPI) -> None:
    """Take FastAPI's own 422 out of the description: every fault in a body is a 400 here."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schema.get("components", {}).get("schemas", {}).pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
