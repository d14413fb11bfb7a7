"""`POST /next`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.schemas.next_token import NextAnswer, NextBody
from refrain.app.services.next_token import predict
from refrain.app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("text")

    @router.post("/next", summary="Predict the next token", response_model=NextAnswer)
    async def predict_next(body: NextBody, request: Request) -> Response:
        """Predict the next word or character, with probabilities over the whole vocabulary."""
        asked = asked_by(request, body.model, body.state)
        predicting = predict(serving, asked, body.prefix, body.query())
        loaded, found = await while_connected(request, predicting, body.timeout)
        results = [serving.with_state(each.as_json(), loaded, each.state) for each in found]
        return json_response({"model": loaded.name, "results": results})

    return router
