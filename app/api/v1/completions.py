"""`POST /v1/completions`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.api.disconnect import seconds_left, while_connected
from app.api.router import caller_of, model_router
from app.api.streaming import EventStream, usage_answer
from app.api.v1.completion_choices import choice_values, logprob_values, padded
from app.api.v1.completion_chunks import chunks
from app.api.v1.naming import NAMED, model_of
from app.api.v1.schemas import DEFAULT_MAX_TOKENS, CompletionBody, as_prompts
from app.services.choice import Choice
from app.services.generation import Generation, GenerationOptions, GenerationService
from app.services.registry import Registry
from models.native.sequence import SamplingParams

LEAST_SECONDS = 1e-3


@dataclass(frozen=True)
class Completion:
    """A request that is being answered, and the part of each answer that never changes."""

    generation: Generation
    head: dict[str, Any]
    includes_usage: bool


def make_router(service: GenerationService, registry: Registry, prefix: str = "") -> APIRouter:
    """Route to a service."""
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
        started = clock()
        name = model_of(request, body.model, registry)
        submitting = service.submit(_options(body, name, caller_of(request)))
        completion = _begin(await while_connected(request, submitting), body)
        generation, limit = completion.generation, seconds_left(request, None)
        left = max(LEAST_SECONDS, limit - (clock() - started)) if limit else None
        if body.stream:
            return EventStream(chunks(completion, left), generation)
        choices = await while_connected(request, generation.whole(), left)
        return JSONResponse(_answer(completion, choices))

    return router


def _begin(generation: Generation, body: CompletionBody) -> Completion:
    head = {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": generation.model.checkpoint.name,
        "system_fingerprint": generation.model.version.hex(),
    }
    includes_usage = bool(body.stream_options and body.stream_options.include_usage)
    return Completion(generation, head, includes_usage)


def _answer(completion: Completion, choices: Sequence[Choice]) -> dict[str, Any]:
    return {
        **completion.head,
        "choices": [_choice(completion.generation, choice) for choice in choices],
        "usage": usage_answer(completion.generation.usage).model_dump(),
    }


def _choice(generation: Generation, choice: Choice) -> dict[str, Any]:
    options = generation.options
    place = choice.index // options.n
    before = generation.prompts[place].text if options.is_echoed else ""
    logprobs = None
    if options.num_logprobs is not None:
        written = choice.logprobs
        if options.is_echoed:
            written = padded(written, options.sampling.max_tokens)
        logprobs = logprob_values(written, len(before))
        if options.is_echoed:
            echoed = logprob_values(generation.echoes[place])
            logprobs = {name: echoed[name] + logprobs[name] for name in echoed}
    return choice_values(choice.index, before + choice.text, choice.finish_reason, logprobs)


def _options(body: CompletionBody, model: str, caller: str) -> GenerationOptions:
    def given(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else value

    max_tokens = DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    sampling = SamplingParams(
        max_tokens=max_tokens,
        temperature=given(body.temperature, 1.0),
        top_k=max(0, body.top_k or 0),
        top_p=given(body.top_p, 1.0),
        min_p=given(body.min_p, 0.0),
        repetition_penalty=given(body.repetition_penalty, 1.0),
        frequency_penalty=given(body.frequency_penalty, 0.0),
        presence_penalty=given(body.presence_penalty, 0.0),
        ignore_eos=bool(body.ignore_eos),
    )
    return GenerationOptions(
        prompts=as_prompts(body.prompt),
        sampling=sampling,
        model=model,
        seed=None if body.seed is None else body.seed % 2**63,
        n=body.n or 1,
        stops=body.stop,
        best_of=body.best_of,
        logit_bias={int(key): value for key, value in (body.logit_bias or {}).items()},
        with_names=True,
        is_echoed=bool(body.echo),
        num_logprobs=body.logprobs,
        is_streamed=bool(body.stream),
        caller=caller,
    )
