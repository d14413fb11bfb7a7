"""Composition root: settings -> checkpoints -> engines -> routes."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from refrain.app.api.http.edge import EdgeMiddleware, Listener
from refrain.app.api.http.errors import CODES, install_error_handlers
from refrain.app.api.http.reports import RequestCounts, log_request
from refrain.app.api.http.router import leave_out_validation_errors
from refrain.app.api.observe import metrics
from refrain.app.api.observe.tracing import Tracing, describe_span, make_tracing
from refrain.app.api.routes import (
    embed,
    engine_load,
    generate,
    health,
    models,
    next_token,
    page,
    rescore,
    score,
    score_stream,
    sentiment,
    sessions,
)
from refrain.app.api.v1.routes import include_v1
from refrain.app.services.registry import Registry, load
from refrain.app.services.serving import Serving
from refrain.app.services.sessions import SessionService
from refrain.app.services.state_token import StateTokens
from refrain.app.settings import Settings
from refrain.inference.engine.config import EngineConfig
from refrain.models.checkpoint import find_models, load_checkpoint, unfinished_runs
from refrain.version import __version__

logger = logging.getLogger("refrain")

DESCRIPTION = """
Recurrent language models over HTTP: generate text, score it, predict the next word, judge a review.
Every route has an example that works: open it and press *Execute*.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Load every checkpoint and make the application.

    Raises
    ------
    CheckpointError
        If the folder has no checkpoint, or one that cannot be served: nothing is served then.
    """
    settings = settings or Settings()
    num_threads = settings.num_threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(num_threads)
    device = _device(settings.device)
    tracing = make_tracing(settings.otlp_endpoint)
    return assemble(settings, _load_models(settings, device, num_threads), device, tracing)


def assemble(
    settings: Settings, registry: Registry, device: str, tracing: Tracing | None = None
) -> FastAPI:
    """Make the application over models that are loaded already."""
    app = FastAPIOffline(
        title="Refrain",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        lifespan=lambda _: _lifespan(registry, tracing),
        # FastAPI's own traces and logs quote paths and errors; ours, in app/api/observe/tracing.py, do not.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
    serving = Serving(registry, StateTokens(_secret(settings)), settings)
    app.state.registry = registry
    app.state.request_timeout = settings.request_timeout
    _include_routes(app, serving, device)
    install_error_handlers(app)
    _observe(app, serving, tracing)
    _admit_origins(app, settings.cors_origins)
    leave_out_validation_errors(app)
    return app


@asynccontextmanager
async def _lifespan(registry: Registry, tracing: Tracing | None) -> AsyncIterator[None]:
    """Run the engines while the server runs."""
    # An engine that has finished a step waits this long for the interpreter; Python's own 5 ms are many steps.
    sys.setswitchinterval(5e-4)
    # What is loaded stays: the collector need not look at it again at every turn, and turns may be rare, for a
    # request leaves few cycles behind. With Python's own 700 allocations a turn they cost a seventh of the speed.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    registry.start()
    try:
        yield
    finally:
        await registry.stop()
        if tracing:
            await tracing.stop()


def _include_routes(app: FastAPI, serving: Serving, device: str) -> None:
    """Add every route, and the page."""
    registry = serving.registry
    for routes in (generate, score, score_stream, rescore, next_token, sentiment, embed):
        app.include_router(routes.make_router(serving))
    app.include_router(sessions.make_router(SessionService(serving)))
    include_v1(app, serving)
    app.include_router(models.make_router(registry))
    app.include_router(health.make_router(lambda: registry.is_ready, device))
    page.add_page(app)


def _observe(app: FastAPI, serving: Serving, tracing: Tracing | None) -> None:
    """Limit, count, log and trace every request, and show the metrics."""
    counts = RequestCounts(serving.registry.models, CODES)
    listeners: list[Listener] = [counts.count, log_request]
    app.include_router(metrics.make_router(serving.registry, counts))
    app.include_router(engine_load.make_router(serving.registry))
    if tracing:
        listeners.append(describe_span)
        tracing.instrument(app)
    app.add_middleware(
        EdgeMiddleware,
        listeners=listeners,
        max_bytes=serving.settings.max_body_bytes,
        unlimited=(score_stream.PATH,),
    )


def _admit_origins(app: FastAPI, named: str) -> None:
    """Allow pages of other origins to send requests from a browser; without cookies, which no route reads."""
    origins = [origin.strip().rstrip("/") for origin in named.split(",") if origin.strip()]
    app.state.cors_origins = origins
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after"],
        )


def _secret(settings: Settings) -> bytes:
    return settings.state_secret.get_secret_value().encode() or secrets.token_bytes(32)


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _load_models(settings: Settings, device: str, num_threads: int) -> Registry:
    found = find_models(settings.models, shipped=settings.shipped)
    config = EngineConfig(
        max_slots=settings.max_slots,
        max_queue=settings.max_queue,
        num_threads=num_threads,
        prefix_cache_bytes=settings.prefix_cache_bytes,
    )
    loaded = []
    for unfinished in unfinished_runs(settings.models):
        logger.warning("skipped %s, an unfinished run; continue it with --resume", unfinished)
    for directory in found.values():
        started = time.perf_counter()
        loaded.append(load(load_checkpoint(directory, device), config, settings.precision))
        logger.info("loaded %s in %.2f s", directory.name, time.perf_counter() - started)
    return Registry(loaded, settings.preferred_names)
