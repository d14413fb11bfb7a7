"""`POST /sentiment`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.schemas.sentiment import SentimentAnswer, SentimentBody
from refrain.app.services.sentiment import classify
from refrain.app.services.serving import Serving


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
