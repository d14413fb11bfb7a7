"""`GET /v1/models` and `GET /v1/models/{name}`."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from app.api.router import REFUSALS
from app.services.registry import Loaded, Registry


def make_router(registry: Registry) -> APIRouter:
    """Route to a registry."""
    router = APIRouter(tags=["openai"])
    started = int(time.time())

    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """List what is loaded, in OpenAI's words; `GET /models` says more."""
        models = registry.models.values()
        return {"object": "list", "data": [_answer(model, started) for model in models]}

    @router.get("/v1/models/{name}", responses={404: REFUSALS[404]})
    async def show_model(name: str) -> dict[str, Any]:
        """Show one model."""
        return _answer(registry.get(name), started)

    return router


def _answer(loaded: Loaded, started: int) -> dict[str, Any]:
    checkpoint = loaded.checkpoint
    return {
        "id": checkpoint.name,
        "object": "model",
        "created": started,
        "owned_by": "refrain",
        "root": checkpoint.name,
        "task": checkpoint.task,
    }
