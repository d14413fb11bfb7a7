"""`POST /generate`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.disconnect import seconds_left, while_connected
from app.api.router import caller_of, json_response, model_router
from app.api.schemas.body import as_list
from app.api.schemas.generate import ChoiceAnswer, GenerateAnswer, GenerateBody
from app.api.streaming import EventStream, events, logprob_answers, usage_answer
from app.services.generation import GenerationOptions, GenerationService
from app.services.state_token import StateTokens


def make_router(service: GenerationService, states: StateTokens) -> APIRouter:
    """Route to a service."""
    router = model_router("text")

    @router.post(
        "/generate",
        summary="Continue a text",
        response_model=GenerateAnswer,
    )
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue one text or several, from a prompt.

        With `stream`, the answer is server-sent events: `data: {"index", "text", "finish_reason"}` for each piece,
        then `data: {"model", "seed", "usage"}`, then `data: [DONE]`.
        """
        options = _options(body, caller_of(request))
        if options.beams:
            generation = await while_connected(request, service.search(options), body.timeout)
        else:
            generation = await service.submit(options)
        if body.stream:
            seconds = seconds_left(request, body.timeout)
            return EventStream(events(generation, states, seconds), generation)
        choices = await while_connected(request, generation.whole(), body.timeout)
        answer = GenerateAnswer(
            model=generation.model.checkpoint.name,
            choices=[
                ChoiceAnswer(
                    index=choice.index,
                    text=choice.text,
                    finish_reason=choice.finish_reason,
                    logprobs=logprob_answers(choice.logprobs)
                    if body.logprobs is not None
                    else None,
                    state=states.seal(generation.model, choice.state) if choice.state else None,
                )
                for choice in choices
            ],
            seed=generation.seed,
            usage=usage_answer(generation.usage),
        )
        return json_response(answer)

    return router


def _options(body: GenerateBody, caller: str) -> GenerationOptions:
    return GenerationOptions(
        prompts=as_list(body.prompt),
        sampling=body.sampling(),
        model=body.model,
        seed=body.seed,
        n=body.n,
        stops=as_list(body.stop),
        best_of=body.best_of,
        beams=body.beams(),
        logit_bias=body.logit_bias,
        allowed=body.allowed,
        num_logprobs=body.logprobs,
        is_streamed=body.stream,
        state=body.state,
        wants_state=body.return_state,
        caller=caller,
    )
