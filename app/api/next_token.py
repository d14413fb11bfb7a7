"""`POST /next`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request

from app.api.disconnect import while_connected
from app.api.router import model_router
from app.api.schemas.body import as_list
from app.api.schemas.next_token import NextAnswer, NextBody, NextTokenAnswer, PredictionAnswer
from app.services.next_token import NextToken, NextTokenService, Prediction


def make_router(service: NextTokenService) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/next",
        summary="Predict the next token",
        response_model=NextAnswer,
        response_model_exclude_unset=True,
    )
    async def predict_next(body: NextBody, request: Request) -> NextAnswer:
        """Predict the next word or character, with probabilities over the whole vocabulary."""
        model, results = await while_connected(
            request,
            service.predict(
                as_list(body.prefix),
                model=body.model,
                top_k=body.top_k,
                starts_with=body.starts_with,
                candidates=body.candidates,
            ),
        )
        return NextAnswer(model=model, results=[_answer(result) for result in results])

    return router


def _answer(result: NextToken) -> NextTokenAnswer:
    predictions = _predictions(result.predictions)
    if result.candidates is None:
        return NextTokenAnswer(predictions=predictions, entropy=result.entropy)
    return NextTokenAnswer(
        predictions=predictions,
        entropy=result.entropy,
        candidates=_predictions(result.candidates),
    )


def _predictions(predictions: Iterable[Prediction]) -> list[PredictionAnswer]:
    return [PredictionAnswer(**vars(prediction)) for prediction in predictions]
