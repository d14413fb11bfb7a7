"""`GET /health/live`, `/health/ready`, `/version`."""

from __future__ import annotations

import platform
from collections.abc import Callable

import torch
from fastapi import APIRouter, Response

from refrain.app.api.http.router import REFUSALS
from refrain.inference.errors import EngineStoppedError
from refrain.version import __version__


def make_router(is_ready: Callable[[], bool], device: str) -> APIRouter:
    """Route to the state of the service."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Report that the process answers."""
        return {"status": "live"}

    @router.get("/health/ready", responses={503: REFUSALS[503]})
    async def ready(response: Response) -> dict[str, str]:
        """Report whether models are loaded and engines run; a 503 while starting, stopping, or broken."""
        if not is_ready():
            raise EngineStoppedError("the service is starting, stopping, or broken")
        response.headers["cache-control"] = "no-store"
        return {"status": "ready"}

    @router.get("/version")
    async def tell_version() -> dict[str, str]:
        """Report the versions of Refrain, Python and torch, and the device."""
        return {
            "refrain": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": device,
        }

    return router
