"""`POST /rescore`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.schemas.rescore import RescoreAnswer, RescoreBody
from refrain.app.services.rescoring import order
from refrain.app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("text")

    @router.post(
        "/rescore", summary="Order the hypotheses of a recogniser", response_model=RescoreAnswer
    )
    async def rescore(body: RescoreBody, request: Request) -> Response:
        """Order what a recogniser of speech or handwriting proposes by its own score and by how it reads."""
        rescoring = order(
            serving,
            asked_by(request, body.model, body.state),
            body.context,
            body.proposed(),
            body.params(),
        )
        loaded, rescored = await while_connected(request, rescoring, body.timeout)
        hypotheses = [each.as_json() for each in rescored]
        return json_response({"model": loaded.name, "hypotheses": hypotheses})

    return router
