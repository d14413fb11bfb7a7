"""What services stand on, over a few tiny models, without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from refrain.app.services.registry import Registry, load
from refrain.app.services.serving import Asked, Serving
from refrain.app.services.state_token import StateTokens
from refrain.app.settings import Settings
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.engine.config import EngineConfig
from refrain.models.checkpoint import load_checkpoint
from tests.support.states import SECRET

ALL = ("english", "bytes", "tang", "counts", "sentiment-en", "sentiment-zh")
LIMIT = 60


def asked(model: str | None = None, state: str | None = None, caller: str = "me") -> Asked:
    """Return who asks, of which model."""
    return Asked(Caller(caller), model, state)


def serve(
    checkpoints: Path,
    body: Callable[[Serving], Coroutine[Any, Any, None]],
    names: tuple[str, ...] = ALL,
    *,
    is_started: bool = True,
    **settings: object,
) -> None:
    """Run a coroutine with what services stand on, and stop the engines; where they are not started, all wait."""
    limits = Settings(**settings)
    config = EngineConfig(max_slots=limits.max_slots, max_queue=limits.max_queue)

    async def main() -> None:
        loaded = [load(load_checkpoint(checkpoints / name), config) for name in names]
        registry = Registry(loaded, ["english"])
        if is_started:
            registry.start()
        try:
            serving = Serving(registry, StateTokens(SECRET.encode()), limits)
            await asyncio.wait_for(body(serving), LIMIT)
        finally:
            await registry.stop()

    asyncio.run(main())
