"""`POST /next`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.body import as_list
from app.api.schemas.next_token import NextAnswer, NextBody, NextTokenAnswer, PredictionAnswer
from app.services.next_token import NextToken, NextTokenOptions, NextTokenService, Prediction
from app.services.registry import LoadedLanguageModel
from app.services.state_token import StateTokens


def make_router(service: NextTokenService, states: StateTokens) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/next",
        summary="Predict the next token",
        response_model=NextAnswer,
    )
    async def predict_next(body: NextBody, request: Request) -> Response:
        """Predict the next word or character, with probabilities over the whole vocabulary."""
        options = NextTokenOptions(
            model=body.model,
            top_k=body.top_k,
            starts_with=body.starts_with,
            candidates=body.candidates,
            among_candidates=body.normalize == "candidates",
            state=body.state,
            wants_state=body.return_state,
            caller=caller_of(request),
        )
        model, results = await while_connected(
            request, service.predict(as_list(body.prefix), options), body.timeout
        )
        answer = NextAnswer(
            model=model.checkpoint.name,
            results=[_answer(result, model, states) for result in results],
        )
        return json_response(answer, exclude_unset=True)

    return router


def _answer(result: NextToken, model: LoadedLanguageModel, states: StateTokens) -> NextTokenAnswer:
    values: dict[str, object] = {
        "predictions": prediction_answers(result.predictions),
        "entropy": result.entropy,
    }
    if result.candidates is not None:
        values["candidates"] = prediction_answers(result.candidates)
    if result.state is not None:
        values["state"] = states.seal(model, result.state)
    return NextTokenAnswer.model_validate(values)


def prediction_answers(predictions: Iterable[Prediction]) -> list[PredictionAnswer]:
    """Turn predictions to answers."""
    return [
        PredictionAnswer(
            token=prediction.token,
            probability=prediction.probability,
            logprob=prediction.logprob,
            **({"unknown": True} if prediction.is_unknown else {}),
        )
        for prediction in predictions
    ]
