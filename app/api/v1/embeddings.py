"""`POST /v1/embeddings`."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from refrain.app.api.http.disconnect import while_connected
from refrain.app.api.http.router import asked_by, model_router
from refrain.app.api.v1.naming import NAMED, model_of
from refrain.app.api.v1.schemas import EmbeddingsBody, as_prompts
from refrain.app.services.embedding import embed_all
from refrain.app.services.serving import Serving


def make_router(serving: Serving, prefix: str = "") -> APIRouter:
    """Route to the models."""
    router = model_router("openai")

    @router.post(
        f"{prefix}/v1/embeddings",
        summary="Embed texts, in OpenAI's words",
        include_in_schema=prefix != NAMED,
    )
    async def embed(body: EmbeddingsBody, request: Request) -> Response:
        """Encode each text as a vector of unit length: the mean of a language model's hidden states."""
        embedding = embed_all(
            serving,
            asked_by(request, model_of(request, body.model, serving.registry)),
            as_prompts(body.input),
            dimensions=body.dimensions,
            with_names=True,
            param="input",
        )
        loaded, vectors, num_tokens = await while_connected(request, embedding)
        rows = [_row(i, vector, body.encoding_format) for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
        name = loaded.name
        return JSONResponse({"object": "list", "data": rows, "model": name, "usage": usage})

    return router


def _row(index: int, vector: NDArray[np.float32], encoding: str | None) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": _encoded(vector, encoding)}


def _encoded(vector: NDArray[np.float32], encoding: str | None) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    values: list[float] = vector.tolist()
    return values
