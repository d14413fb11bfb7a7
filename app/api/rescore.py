"""`POST /rescore`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.rescore import RescoreAnswer, RescoreBody, RescoredAnswer
from app.services.rescoring import Hypothesis, RescoringOptions, RescoringService


def make_router(service: RescoringService) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/rescore", summary="Order the hypotheses of a recogniser", response_model=RescoreAnswer
    )
    async def rescore(body: RescoreBody, request: Request) -> Response:
        """Order what a recogniser of speech or handwriting proposes by its own score and by how it reads."""
        options = RescoringOptions(
            context=body.context,
            weight=body.weight,
            length_normalize=body.length_normalize,
            bos=body.bos,
            eos=body.eos,
            among_hypotheses=body.normalize == "hypotheses",
            model=body.model,
            state=body.state,
            caller=caller_of(request),
        )
        hypotheses = [Hypothesis(each.text, each.score) for each in body.hypotheses]
        loaded, rescored = await while_connected(
            request, service.rescore(hypotheses, options), body.timeout
        )
        answers = [RescoredAnswer(**vars(each)) for each in rescored]
        return json_response(RescoreAnswer(model=loaded.checkpoint.name, hypotheses=answers))

    return router
