"""Prompts in, texts out: whole, or piece by piece as they are written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.drivers.threaded import Running
from refrain.inference.operation import Delta, TokenLogprob, gather
from refrain.inference.operations.generation import (
    Generation,
    GenerationParams,
    generate,
    read_back,
)
from refrain.inference.operations.prompt import Prompt, read_prompt
from refrain.models.errors import InvalidParameterError


class GenerationRequest(NamedTuple):
    """What a caller asks to be written.

    Attributes
    ----------
    prompts
        Strings, or token ids.
    seed
        Of the first text; None draws one.
    with_names
        Whether the names of special tokens in a string stand for these tokens.
    is_echoed
        Whether the prompts are wanted as text, and their tokens' log-probabilities too if such are wanted.
    """

    prompts: Sequence[str | Sequence[int]]
    params: GenerationParams
    seed: int | None = None
    with_names: bool = False
    is_echoed: bool = False


class StartedGeneration(NamedTuple):
    """A request that is queued: its texts are being written from here on."""

    loaded: LoadedLanguageModel
    request: GenerationRequest
    prompts: Sequence[Prompt]
    echoes: Sequence[list[TokenLogprob]]
    running: Running[Generation]

    async def answer(self) -> Generation:
        """Wait for every text."""
        generation = await self.running.answer()
        reasons = [each.finish_reason for each in generation.choices]
        self.running.caller.stats.finish_reasons.update(reasons)
        return generation

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield the pieces of all texts as they come; close it when no more are wanted."""
        async with aclosing(self.running.deltas()) as deltas:
            async for delta in deltas:
                if delta.finish_reason:
                    self.running.caller.stats.finish_reasons.add(delta.finish_reason)
                yield delta


async def start_generation(
    serving: Serving, asked: Asked, request: GenerationRequest
) -> StartedGeneration:
    """Check, admit, tokenize and queue a request; nothing is refused after this."""
    params, settings = request.params, serving.settings
    if len(request.prompts) * params.num_tried > settings.max_texts:
        raise _too_many(request, settings.max_texts)
    if params.sampling.max_tokens > settings.max_tokens:
        message = f"max_tokens may be at most {settings.max_tokens:,}"
        raise InvalidParameterError(message, "max_tokens")
    text = "".join([prompt for prompt in request.prompts if isinstance(prompt, str)])
    loaded, start = serving.find(asked, text)
    loaded.driver.admit(len(request.prompts) * max(params.num_beams, params.num_tried))
    prompts = await map_texts(
        read_prompt,
        loaded.model.tokenizer,
        request.prompts,
        start,
        max_tokens=settings.max_prompt_tokens,
        with_names=request.with_names,
        spells=request.is_echoed,
    )
    echoes: list[list[TokenLogprob]] = []
    if request.is_echoed and params.logprobs is not None:
        echoes, prompts = await _echo(loaded, prompts, params.logprobs, asked.caller)
    operation = generate(loaded.model, prompts, params, request.seed)
    running = Running(loaded.driver, operation, caller=asked.caller)
    return StartedGeneration(loaded, request, prompts, echoes, running)


async def _echo(
    loaded: LoadedLanguageModel, prompts: Sequence[Prompt], num_top: int, caller: Caller
) -> tuple[list[list[TokenLogprob]], list[Prompt]]:
    """Score the tokens of prompts; return what is left of each to go on from, too."""
    echoing = gather(read_back(loaded.model, each, num_top) for each in prompts)
    read = await loaded.driver.run(echoing, caller)
    return [tokens for tokens, _ in read], [prompt for _, prompt in read]


def _too_many(request: GenerationRequest, max_texts: int) -> InvalidParameterError:
    num_tried, name = request.params.num_tried, "best_of" if request.params.best_of else "n"
    return InvalidParameterError(
        f"{len(request.prompts)} prompts x {name} {num_tried} are more than {max_texts} texts",
        name if num_tried > 1 else "prompt",
    )
