"""`POST /sessions`, `/sessions/{id}/append`, `/sessions/{id}/next`, `DELETE /sessions/{id}`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.next_token import prediction_answers
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.sessions import (
    AppendBody,
    SessionAnswer,
    SessionBody,
    SessionNextAnswer,
    SessionNextBody,
)
from app.services.next_token import NextTokenOptions
from app.services.sessions import Session, SessionService


def make_router(service: SessionService) -> APIRouter:
    """Route to a service."""
    router = model_router("sessions")

    @router.post("/sessions", summary="Begin a text that grows", response_model=SessionAnswer)
    async def open_session(body: SessionBody, request: Request) -> Response:
        """Begin a session: a text that stays on the server, so that what is typed costs only what is new."""
        opening = service.open(
            model=body.model,
            text=body.text,
            state=body.state,
            adaptive=body.adaptive,
            caller=caller_of(request),
        )
        return _answer(await while_connected(request, opening, body.timeout))

    @router.post(
        "/sessions/{session}/append", summary="Add what was typed", response_model=SessionAnswer
    )
    async def append(session: str, body: AppendBody, request: Request) -> Response:
        """Add text to a session, in pieces as they come: a word may be cut anywhere."""
        appending = service.append(session, body.text, caller_of(request))
        return _answer(await while_connected(request, appending, body.timeout))

    @router.post(
        "/sessions/{session}/next",
        summary="Predict the next token of a session",
        response_model=SessionNextAnswer,
    )
    async def predict_next(session: str, body: SessionNextBody, request: Request) -> Response:
        """Predict what follows a session's text, as `/next` does of a whole prefix."""
        options = NextTokenOptions(
            top_k=body.top_k,
            starts_with=body.starts_with,
            candidates=body.candidates,
            among_candidates=body.normalize == "candidates",
        )
        predicting = service.next(session, options, caller_of(request))
        found, result = await while_connected(request, predicting, body.timeout)
        values: dict[str, object] = {
            "session": found.id,
            "model": found.loaded.checkpoint.name,
            "predictions": prediction_answers(result.predictions),
            "entropy": result.entropy,
        }
        if result.candidates is not None:
            values["candidates"] = prediction_answers(result.candidates)
        answer = SessionNextAnswer.model_validate(values)
        return json_response(answer, exclude_unset=True)

    @router.delete("/sessions/{session}", status_code=204, summary="Forget a session")
    async def close(session: str, request: Request) -> Response:
        """Forget a session at once; idle ones are forgotten after some minutes."""
        service.close(session, caller_of(request))
        return Response(status_code=204)

    return router


def _answer(session: Session) -> Response:
    answer = SessionAnswer(
        session=session.id,
        model=session.loaded.checkpoint.name,
        num_tokens=session.num_tokens,
    )
    return json_response(answer)
