"""`POST /sentiment`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import asked_by, json_response, model_router
from app.api.schemas.sentiment import SentimentAnswer, SentimentBody
from app.services.sentiment import classify
from app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("labels")

    @router.post("/sentiment", summary="Judge a review", response_model=SentimentAnswer)
    async def sentiment(body: SentimentBody, request: Request) -> Response:
        """Classify what a review thinks, in English or Chinese: a class, its probabilities, and stars."""
        asked = asked_by(request, body.model)
        classifying = classify(serving, asked, body.text, body.language)
        found = await while_connected(request, classifying, body.timeout)
        return json_response({"results": [each.as_json() for each in found]})

    return router
