"""`POST /sentiment`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import json_response, model_router
from app.api.schemas.body import as_list
from app.api.schemas.sentiment import SentimentAnswer, SentimentBody, SentimentResult
from app.services.sentiment import SentimentService


def make_router(service: SentimentService) -> APIRouter:
    """Route to a service."""
    router = model_router("labels")

    @router.post("/sentiment", summary="Judge a review", response_model=SentimentAnswer)
    async def sentiment(body: SentimentBody, request: Request) -> Response:
        """Tell what a review thinks, in English or Chinese: a class, its probabilities, and stars."""
        results = await while_connected(
            request,
            service.classify(as_list(body.text), model=body.model, language=body.language),
            body.timeout,
        )
        answers = [SentimentResult(**vars(result)) for result in results]
        return json_response(SentimentAnswer(results=answers))

    return router
