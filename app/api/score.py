"""`POST /score`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.body import as_list
from app.api.schemas.score import ScoreAnswer, ScoreBody, TextScoreAnswer, TokenScoreAnswer
from app.api.score_stream import respond
from app.engine.sequence import TextState
from app.services.registry import LoadedLanguageModel
from app.services.score_stream import ScoreStreamOptions, ScoreStreamService
from app.services.scoring import ScoringOptions, ScoringService, TextScore
from app.services.state_token import StateTokens


def make_router(
    service: ScoringService, streams: ScoreStreamService, states: StateTokens
) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/score",
        summary="Measure how likely a text is",
        response_model=ScoreAnswer,
    )
    async def score(body: ScoreBody, request: Request) -> Response:
        """Measure how likely texts are: perplexity, bits a character, and with `per_token` every token."""
        if body.stride is not None:
            assert isinstance(body.text, str)
            stream_options = ScoreStreamOptions(
                model=body.model,
                stride=body.stride,
                count_end=body.count_end,
                state=body.state,
                wants_state=body.return_state,
                caller=caller_of(request),
            )
            return await respond(streams, request, stream_options, states, body.text)
        options = ScoringOptions(
            model=body.model,
            count_end=body.count_end,
            per_token=body.per_token,
            state=body.state,
            wants_state=body.return_state,
            caller=caller_of(request),
        )
        model, results = await while_connected(
            request, service.score(as_list(body.text), options), body.timeout
        )
        answer = ScoreAnswer(
            model=model.checkpoint.name,
            results=[_answer(r, model, states, per_token=body.per_token) for r in results],
        )
        return json_response(answer, exclude_unset=True)

    return router


def _answer(
    result: TextScore, model: LoadedLanguageModel, states: StateTokens, *, per_token: bool
) -> TextScoreAnswer:
    values: dict[str, object] = {**vars(result)}
    values.pop("tokens")
    state = values.pop("state")
    if per_token:
        values["tokens"] = list(map(TokenScoreAnswer.of, result.tokens))
    if isinstance(state, TextState):
        values["state"] = states.seal(model, state)
    return TextScoreAnswer.model_validate(values)
