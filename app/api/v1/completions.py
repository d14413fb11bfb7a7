"""`POST /v1/completions`."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from refrain.app.api.http.disconnect import seconds_left, while_connected
from refrain.app.api.http.router import asked_by, model_router
from refrain.app.api.http.streaming import EventStream
from refrain.app.api.v1.completion_choices import (
    CompletionRequest,
    choice_values,
    logprob_values,
    padded,
)
from refrain.app.api.v1.completion_chunks import chunks
from refrain.app.api.v1.naming import NAMED, model_of
from refrain.app.api.v1.schemas import CompletionBody, as_prompts
from refrain.app.services.generation import GenerationRequest, StartedGeneration, start_generation
from refrain.app.services.serving import Serving
from refrain.inference.operations.generation import Completion, Generation

LEAST_SECONDS = 1e-3


def make_router(serving: Serving, prefix: str = "") -> APIRouter:
    """Route to the models."""
    router = model_router("openai")

    @router.post(
        f"{prefix}/v1/completions",
        summary="Continue a text, in OpenAI's words",
        include_in_schema=prefix != NAMED,
    )
    async def complete(body: CompletionBody, request: Request) -> Response:
        """Continue prompts as OpenAI's completions do, for programs that know no other way.

        Choice `index` is prompt x n + i. With `echo` and `logprobs` every token of the prompt is scored, and there are
        always as many entries as the prompt has tokens and `max_tokens` says.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        asked = asked_by(request, model_of(request, body.model, serving.registry))
        starting = start_generation(serving, asked, _wanted(body))
        completion = _begin(await while_connected(request, starting), body)
        started, limit = completion.started, seconds_left(request, None)
        left = max(LEAST_SECONDS, limit - (clock() - began)) if limit else None
        if body.stream:
            return EventStream(chunks(completion, left, request.scope), started)
        generation = await while_connected(request, started.answer(), left)
        return JSONResponse(_answer(completion, generation))

    return router


def _begin(started: StartedGeneration, body: CompletionBody) -> CompletionRequest:
    head = {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": started.loaded.name,
        "system_fingerprint": started.loaded.model.version.hex(),
    }
    includes_usage = bool(body.stream_options and body.stream_options.include_usage)
    return CompletionRequest(started, head, includes_usage)


def _answer(completion: CompletionRequest, generation: Generation) -> dict[str, Any]:
    return {
        **completion.head,
        "choices": [_choice(completion.started, each) for each in generation.choices],
        "usage": generation.usage.as_json(),
    }


def _choice(started: StartedGeneration, completion: Completion) -> dict[str, Any]:
    request, number = started.request, completion.index // started.request.params.n
    before = started.prompts[number].text if request.is_echoed else ""
    logprobs = None
    if completion.logprobs is not None:
        written = completion.logprobs
        if request.is_echoed:
            written = padded(written, request.params.sampling.max_tokens)
        logprobs = logprob_values(written, len(before))
        if request.is_echoed:
            echoed = logprob_values(started.echoes[number])
            logprobs = {name: echoed[name] + logprobs[name] for name in echoed}
    text, reason = before + completion.text, completion.finish_reason
    return choice_values(completion.index, text, reason, logprobs)


def _wanted(body: CompletionBody) -> GenerationRequest:
    return GenerationRequest(
        prompts=as_prompts(body.prompt),
        params=body.params(),
        seed=None if body.seed is None else body.seed % 2**63,
        with_names=True,
        is_echoed=bool(body.echo),
    )
