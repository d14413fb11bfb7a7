"""`POST /embed`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, json_response, model_router
from refrain.app.api.schemas.embed import EmbedAnswer, EmbedBody
from refrain.app.services.embedding import embed_all
from refrain.app.services.serving import Serving


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = model_router("text")

    @router.post("/embed", summary="Turn texts to vectors", response_model=EmbedAnswer)
    async def embed(body: EmbedBody, request: Request) -> Response:
        """Encode each text as a vector of unit length: what a language model remembers of it.

        Texts alike to the model have a large dot product. A text has one vector, whatever stands beside it.
        """
        embedding = embed_all(
            serving, asked_by(request, body.model), body.text, pooling=body.pooling
        )
        loaded, vectors, _ = await while_connected(request, embedding, body.timeout)
        results = [{"embedding": vector.tolist()} for vector in vectors]
        return json_response({"model": loaded.name, "results": results})

    return router
