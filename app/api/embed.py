"""`POST /embed`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import while_connected
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.body import as_list
from app.api.schemas.embed import EmbedAnswer, EmbedBody, EmbeddingAnswer
from app.services.embedding import EmbeddingService


def make_router(service: EmbeddingService) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post("/embed", summary="Turn texts to vectors", response_model=EmbedAnswer)
    async def embed(body: EmbedBody, request: Request) -> Response:
        """Give each text a vector of unit length: what a language model remembers of it.

        Texts alike to the model have a large dot product. A text has one vector, whatever stands beside it.
        """
        embedding = service.embed(
            as_list(body.text), model=body.model, pooling=body.pooling, caller=caller_of(request)
        )
        found = await while_connected(request, embedding, body.timeout)
        answer = EmbedAnswer(
            model=found.model.checkpoint.name,
            results=[EmbeddingAnswer(embedding=vector.tolist()) for vector in found.vectors],
        )
        return json_response(answer)

    return router
