"""All of the OpenAI-compatible routes, as they are and below the name of a model."""

from __future__ import annotations

from fastapi import FastAPI

from app.api.v1 import completions, embeddings, models, tokens
from app.api.v1.naming import NAMED
from app.services.embedding import EmbeddingService
from app.services.generation import GenerationService
from app.services.registry import Registry
from app.settings import Settings


def include_v1(
    app: FastAPI,
    generation: GenerationService,
    embedding: EmbeddingService,
    registry: Registry,
    settings: Settings,
) -> None:
    """Add the routes to an application."""
    for prefix in ("", NAMED):
        app.include_router(completions.make_router(generation, registry, prefix))
        app.include_router(embeddings.make_router(embedding, registry, prefix))
        app.include_router(tokens.make_router(registry, settings, prefix))
        app.include_router(models.make_router(registry, prefix))
