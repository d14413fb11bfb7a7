"""`POST /generate`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import seconds_left, while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.http.streaming import EventStream, events
from refrain.app.api.schemas.generate import GenerateAnswer, GenerateBody
from refrain.app.services.generation import GenerationRequest, start_generation
from refrain.app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("text")

    @router.post("/generate", summary="Continue a text", response_model=GenerateAnswer)
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue one text or several, from a prompt.

        With `stream`, the answer is server-sent events: `data: {"index", "text", "finish_reason"}` for each piece,
        then `data: {"model", "seed", "usage"}`, then `data: [DONE]`.
        """
        asked = asked_by(request, body.model, body.state)
        wanted = GenerationRequest(body.prompt, body.params(), body.seed)
        started = await start_generation(serving, asked, wanted)
        if body.stream:
            seconds = seconds_left(request, body.timeout)
            return EventStream(events(started, serving, seconds, request.scope), started)
        generation = await while_connected(request, started.answer(), body.timeout)
        values = generation.as_json()
        if body.return_state:
            values["choices"] = [
                serving.with_state(each.as_json(), started.loaded, each.state)
                for each in generation.choices
            ]
        return json_response({"model": started.loaded.name, **values})

    return router
