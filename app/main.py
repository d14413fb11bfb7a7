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
from importlib.metadata import version
from typing import Any

import torch
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request

from app.api import (
    embed,
    engine_load,
    generate,
    health,
    metrics,
    models,
    next_token,
    page,
    rescore,
    score,
    score_stream,
    sentiment,
    sessions,
)
from app.api.disconnect import ClientLeftError
from app.api.errors import CODES, install_error_handlers
from app.api.middleware import BodyLimitMiddleware, RequestIdMiddleware
from app.api.request_figures import RequestFigures
from app.api.request_log import log_request
from app.api.tracing import Tracing, describe_span, make_tracing
from app.api.v1.routes import include_v1
from app.api.watch import Listener, WatchMiddleware
from app.engine.config import EngineConfig
from app.services.embedding import EmbeddingService
from app.services.generation import GenerationService
from app.services.next_token import NextTokenService
from app.services.registry import Registry, load
from app.services.rescoring import RescoringService
from app.services.score_stream import ScoreStreamService
from app.services.scoring import ScoringService
from app.services.sentiment import SentimentService
from app.services.sessions import SessionService
from app.services.state_token import StateTokens
from app.settings import Settings
from models.checkpoint import find_checkpoints, load_checkpoint
from models.errors import CheckpointError

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

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
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

    app = FastAPIOffline(
        title="Refrain",
        version=version("refrain"),
        description=DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
        # FastAPI's own traces and logs quote paths and errors; ours, in app/api/tracing.py, do not.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
    states = StateTokens(registry, _secret(settings))
    app.state.registry = registry
    app.state.request_timeout = settings.request_timeout
    generation_service = GenerationService(states, settings)
    app.include_router(generate.make_router(generation_service, states))
    stream_service = ScoreStreamService(states, settings)
    scoring_service = ScoringService(states, settings)
    app.include_router(score.make_router(scoring_service, stream_service, states))
    app.include_router(score_stream.make_router(stream_service, states))
    app.include_router(rescore.make_router(RescoringService(states, settings)))
    next_tokens = NextTokenService(states, settings)
    app.include_router(next_token.make_router(next_tokens, states))
    session_service = SessionService(states, next_tokens, settings)
    app.include_router(sessions.make_router(session_service))
    app.include_router(sentiment.make_router(SentimentService(registry, settings)))
    embedding_service = EmbeddingService(registry, settings)
    app.include_router(embed.make_router(embedding_service))
    include_v1(app, generation_service, embedding_service, registry, settings)
    app.include_router(models.make_router(registry, settings.models))
    app.include_router(health.make_router(lambda: registry.is_ready, device))
    page.add_page(app)
    app.add_exception_handler(ClientLeftError, _client_left)
    install_error_handlers(app)
    app.add_middleware(
        BodyLimitMiddleware, max_bytes=settings.max_body_bytes, unlimited=(score_stream.PATH,)
    )
    _watch(app, registry, tracing)
    app.add_middleware(RequestIdMiddleware)
    _admit_origins(app, settings.cors_origins)
    _describe_refusals(app)
    return app


def _watch(app: FastAPI, registry: Registry, tracing: Tracing | None) -> None:
    """Count, log and trace every request, and show the figures."""
    figures = RequestFigures(registry.models, CODES)
    listeners: list[Listener] = [figures.count, log_request]
    app.include_router(metrics.make_router(registry, figures))
    app.include_router(engine_load.make_router(registry))
    if tracing:
        listeners.append(describe_span)
        tracing.watch(app)
    app.add_middleware(WatchMiddleware, listeners=listeners)


def _admit_origins(app: FastAPI, named: str) -> None:
    """Let pages of other origins ask from a browser; without cookies, which no route reads."""
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
    directories = find_checkpoints(settings.models)
    if not directories:
        raise CheckpointError(
            f"{settings.models.resolve()}: holds no checkpoint; train one with `refrain train`, or point "
            "--models to a folder whose sub-folders are checkpoints"
        )
    config = EngineConfig(
        max_slots=settings.max_slots,
        max_queue=settings.max_queue,
        num_threads=num_threads,
        prefix_cache_bytes=settings.prefix_cache_bytes,
    )
    loaded = []
    for unfinished in sorted({path.parent for path in settings.models.glob("*/snapshot")}):
        logger.warning("skipped %s: an unfinished run; go on with --resume", unfinished)
    for directory in directories:
        started = time.perf_counter()
        loaded.append(load(load_checkpoint(directory, device), config, settings.precision))
        logger.info("loaded %s in %.2f s", directory.name, time.perf_counter() - started)
    return Registry(loaded, [name.strip() for name in settings.preferred_models.split(",")])


async def _client_left(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


def _describe_refusals(app: FastAPI) -> None:
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
