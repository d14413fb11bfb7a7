"""`POST /sessions`, `/sessions/{id}/append`, `/sessions/{id}/next`, `DELETE /sessions/{id}`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.schemas.sessions import (
    AppendBody,
    SessionAnswer,
    SessionBody,
    SessionNextAnswer,
    SessionNextBody,
)
from refrain.app.services.sessions import Session, SessionService


def make_router(service: SessionService) -> APIRouter:
    """Route to a service."""
    router = model_router("sessions")

    @router.post("/sessions", summary="Begin a text that grows", response_model=SessionAnswer)
    async def open_session(body: SessionBody, request: Request) -> Response:
        """Begin a session: a text that stays on the server, so that what is typed costs only what is new."""
        asked = asked_by(request, body.model, body.state)
        opening = service.open(asked, body.text, adaptive=body.adaptive)
        return _answer(await while_connected(request, opening, body.timeout))

    @router.post(
        "/sessions/{session}/append", summary="Add what was typed", response_model=SessionAnswer
    )
    async def append(session: str, body: AppendBody, request: Request) -> Response:
        """Add text to a session, in pieces as they come: a word may be cut anywhere."""
        appending = service.append(session, body.text, asked_by(request).caller)
        return _answer(await while_connected(request, appending, body.timeout))

    @router.post(
        "/sessions/{session}/next",
        summary="Predict the next token of a session",
        response_model=SessionNextAnswer,
    )
    async def predict_next(session: str, body: SessionNextBody, request: Request) -> Response:
        """Predict what follows a session's text, as `/next` does of a whole prefix."""
        predicting = service.next(session, body.query(), asked_by(request).caller)
        found, result = await while_connected(request, predicting, body.timeout)
        return json_response({**result.as_json(), "session": found.id, "model": found.loaded.name})

    @router.delete("/sessions/{session}", status_code=204, summary="Forget a session")
    async def close(session: str, request: Request) -> Response:
        """Forget a session at once; idle ones are forgotten after some minutes."""
        service.close(session, asked_by(request).caller)
        return Response(status_code=204)

    return router


def _answer(session: Session) -> Response:
    return json_response(
        {
            "session": session.id,
            "model": session.loaded.name,
            "num_tokens": session.text.num_tokens,
        }
    )
