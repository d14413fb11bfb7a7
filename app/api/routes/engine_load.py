"""`GET /load`."""

from __future__ import annotations

import time

from fastapi import APIRouter, Response

from refrain.app.api.schemas.load import LoadAnswer, ModelLoad
from refrain.app.services.registry import Loaded, Registry


def make_router(registry: Registry) -> APIRouter:
    """Route to what a registry's engines do just now."""
    router = APIRouter(tags=["health"])
    started = time.perf_counter()

    @router.get("/load")
    async def tell_load(response: Response) -> LoadAnswer:
        """Report how busy each model is: texts that run and wait, and tokens a second over the last seconds."""
        response.headers["cache-control"] = "no-store"
        now = time.perf_counter()
        return LoadAnswer(
            status="ready" if registry.is_ready else "not_ready",
            uptime_seconds=round(now - started, 3),
            models=[_load_of(model, now) for model in registry.models.values()],
        )

    return router


def _load_of(model: Loaded, now: float) -> ModelLoad:
    load, metrics = model.driver.load, model.driver.metrics
    return ModelLoad(
        model=model.name,
        num_running=load.num_running,
        num_waiting=load.num_waiting,
        max_slots=load.max_running,
        max_queue=load.max_waiting,
        prompt_tokens_total=metrics.num_prompt,
        generation_tokens_total=metrics.num_written,
        tokens_per_second=round(metrics.token_rate.read(now), 3),
    )
