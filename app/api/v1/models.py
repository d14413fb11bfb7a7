"""`GET /v1/models` and `GET /v1/models/{name}`."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from refrain.app.api.http.router import REFUSALS
from refrain.app.api.v1.naming import NAMED
from refrain.app.services.registry import Loaded, Registry


def make_router(registry: Registry, prefix: str = "") -> APIRouter:
    """Route to a registry."""
    router = APIRouter(tags=["openai"])
    started = int(time.time())

    is_listed = prefix != NAMED

    @router.get(f"{prefix}/v1/models", include_in_schema=is_listed)
    async def list_models() -> dict[str, Any]:
        """List what is loaded, in OpenAI's words; `GET /models` says more."""
        models = registry.models.values()
        return {"object": "list", "data": [_answer(model, started) for model in models]}

    @router.get(
        f"{prefix}/v1/models/{{model}}",
        responses={404: REFUSALS[404]},
        include_in_schema=is_listed,
    )
    async def show_model(model: str) -> dict[str, Any]:
        """Show one model."""
        return _answer(registry.models[model], started)

    return router


def _answer(loaded: Loaded, started: int) -> dict[str, Any]:
    return {
        "id": loaded.name,
        "object": "model",
        "created": started,
        "owned_by": "refrain",
        "root": loaded.name,
        "task": loaded.checkpoint.task,
    }
