"""`POST /tokenize`, `POST /detokenize`, `GET /tokenizer_info`."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from refrain.app.api.http.router import model_router
from refrain.app.api.v1.naming import NAMED, model_of
from refrain.app.api.v1.schemas import DetokenizeBody, TokenizeBody
from refrain.app.services.serving import Serving, map_texts
from refrain.app.settings import Settings
from refrain.inference.operations.encoding import encode, require_valid
from refrain.models.text.splitter import EOS, UNK
from refrain.models.text.tokenizer import Tokenizer


def make_router(serving: Serving, prefix: str = "") -> APIRouter:
    """Route to the tokenizers of the models."""
    router = model_router("openai")
    is_listed = prefix != NAMED

    @router.post(f"{prefix}/tokenize", include_in_schema=is_listed)
    async def tokenize(body: TokenizeBody, request: Request) -> Response:
        """Turn a text to token ids; the name of a special token is its single id."""
        tokenizer = _tokenizer_of(serving, request, body.model)
        return JSONResponse(await _tokenized(tokenizer, body, serving.settings))

    @router.post(f"{prefix}/detokenize", include_in_schema=is_listed)
    async def detokenize(body: DetokenizeBody, request: Request) -> Response:
        """Turn token ids to text; special tokens are shown by their names."""
        tokenizer = _tokenizer_of(serving, request, body.model)
        require_valid(tokenizer, body.tokens, "tokens")
        text = await asyncio.to_thread(tokenizer.decode_with_names, body.tokens)
        return JSONResponse({"prompt": text})

    @router.get(f"{prefix}/tokenizer_info", include_in_schema=is_listed)
    async def show_tokenizer(request: Request, model: str | None = None) -> dict[str, Any]:
        """Report a tokenizer's kind, size and special tokens; `<eos>` begins every text and ends it."""
        return _description(_tokenizer_of(serving, request, model), serving.settings)

    return router


def _tokenizer_of(serving: Serving, request: Request, model: str | None) -> Tokenizer:
    registry = serving.registry
    return registry.models[model_of(request, model, registry)].checkpoint.tokenizer


async def _tokenized(
    tokenizer: Tokenizer, body: TokenizeBody, settings: Settings
) -> dict[str, Any]:
    limit = settings.max_score_tokens
    [encoding] = await map_texts(
        encode, tokenizer, [body.prompt], max_tokens=limit, param="prompt", with_names=True
    )
    ids = [tokenizer.eos_id] * body.add_special_tokens + list(encoding.ids)
    values = {"count": len(ids), "max_model_len": settings.max_prompt_tokens, "tokens": ids}
    if body.return_token_strs:
        values["token_strs"] = await asyncio.to_thread(lambda: list(map(tokenizer.surface, ids)))
    return values


def _description(tokenizer: Tokenizer, settings: Settings) -> dict[str, Any]:
    return {
        "tokenizer_class": f"refrain:{tokenizer.kind}",
        "vocab_size": tokenizer.vocab_size,
        "bos_token": EOS,
        "eos_token": EOS,
        "unk_token": UNK,
        "add_bos_token": True,
        "model_max_length": settings.max_prompt_tokens,
    }
