"""`POST /score`."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.disconnect import while_connected
from app.api.router import model_router
from app.api.schemas.body import as_list
from app.api.schemas.score import ScoreAnswer, ScoreBody, TextScoreAnswer, TokenScoreAnswer
from app.services.scoring import ScoringService, TextScore


def make_router(service: ScoringService) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/score",
        summary="Measure how likely a text is",
        response_model=ScoreAnswer,
        response_model_exclude_unset=True,
    )
    async def score(body: ScoreBody, request: Request) -> ScoreAnswer:
        """Measure how likely texts are: perplexity, bits a character, and with `per_token` every token."""
        model, results = await while_connected(
            request,
            service.score(as_list(body.text), model=body.model, count_end=body.count_end),
        )
        return ScoreAnswer(
            model=model, results=[_answer(result, per_token=body.per_token) for result in results]
        )

    return router


def _answer(result: TextScore, *, per_token: bool) -> TextScoreAnswer:
    values: dict[str, object] = {**vars(result)}
    values.pop("tokens")
    if per_token:
        values["tokens"] = [TokenScoreAnswer(**vars(token)) for token in result.tokens]
    return TextScoreAnswer.model_validate(values)
