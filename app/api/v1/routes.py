"""All of the OpenAI-compatible routes, as they are and below the name of a model."""

from __future__ import annotations

from fastapi import FastAPI

from refrain.app.api.v1 import completions, embeddings, models, tokens
from refrain.app.api.v1.naming import NAMED
from refrain.app.services.serving import Serving


def include_v1(app: FastAPI, serving: Serving) -> None:
    """Add the routes to an application."""
    for prefix in ("", NAMED):
        app.include_router(completions.make_router(serving, prefix))
        app.include_router(embeddings.make_router(serving, prefix))
        app.include_router(tokens.make_router(serving, prefix))
        app.include_router(models.make_router(serving.registry, prefix))
