"""`POST /score`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.routes.score_stream import respond
from refrain.app.api.schemas.score import ScoreAnswer, ScoreBody
from refrain.app.services.score_stream import ScoreStreamParams
from refrain.app.services.scoring import score as score_texts
from refrain.app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("text")

    @router.post("/score", summary="Measure how likely a text is", response_model=ScoreAnswer)
    async def score(body: ScoreBody, request: Request) -> Response:
        """Measure how likely texts are: perplexity, bits a character, and with `per_token` every token."""
        asked = asked_by(request, body.model, body.state)
        if body.stride is not None:
            params = ScoreStreamParams("text", body.stride, body.count_end, body.return_state)
            return await respond(serving, request, asked, params, body.text[0])
        scoring = score_texts(serving, asked, body.text, body.params())
        loaded, found = await while_connected(request, scoring, body.timeout)
        results = [serving.with_state(each.as_json(), loaded, each.state) for each in found]
        return json_response({"model": loaded.name, "results": results})

    return router
