"""What every group of routes shares: strict bodies, and the refusals that any of them may give."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api.schemas.body import ErrorAnswer
from app.api.strict_json import StrictJSONRoute

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


def caller_of(request: Request) -> str:
    """Tell callers apart: they take turns, and what one had read is no other's."""
    return request.client.host if request.client else ""


def json_response(answer: BaseModel, *, exclude_unset: bool = False) -> Response:
    """Write an answer of a known shape; FastAPI would check it once more, which costs more than all the rest."""
    content = answer.model_dump_json(exclude_none=not exclude_unset, exclude_unset=exclude_unset)
    return Response(content, media_type="application/json")
