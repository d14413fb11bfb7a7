"""What every group of routes shares: strict bodies, the refusals that any of them may answer with, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.api.record import record_of
from app.api.schemas.body import ErrorAnswer
from app.api.strict_json import StrictJSONRoute
from app.services.serving import Asked
from inference.drivers.engine_thread import Caller

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


def caller_of(request: Request) -> Caller:
    """Return who asks: callers take turns, and what one had read is no other's."""
    name = request.client.host if request.client else ""
    return Caller(name, record_of(request.scope).stats)


def asked_by(request: Request, model: str | None = None, state: str | None = None) -> Asked:
    """Return who asks, of which model, from which state on."""
    return Asked(caller_of(request), model, state)


def json_response(answer: Mapping[str, object]) -> Response:
    """Write an answer of a known shape; FastAPI would check it once more, which costs more than all the rest."""
    content = to_json(answer, inf_nan_mode="null")
    return Response(content, media_type="application/json")
