"""Prompts in, texts out: whole, or piece by piece as they are written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from app.services.registry import LoadedLanguageModel
from app.services.serving import Asked, Serving, off_loop
from inference.drivers.threaded import Running
from inference.operation import Delta, TokenLogprob, gather
from inference.operations.generation import (
    Generation,
    GenerationParams,
    generate,
    new_seed,
    read_back,
)
from inference.operations.prompt import Prompt, read_prompt
from models.errors import InvalidParameterError


@dataclass(frozen=True)
class GenerationRequest:
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


@dataclass(frozen=True)
class StartedGeneration:
    """A request that is queued: its texts are being written from here on."""

    loaded: LoadedLanguageModel
    request: GenerationRequest
    prompts: Sequence[Prompt]
    echoes: Sequence[list[TokenLogprob]]
    running: Running[Generation]

    async def answer(self) -> Generation:
        """Wait for every text."""
        generation = await self.running.answer()
        reasons = {each.finish_reason for each in generation.choices}
        self.running.caller.stats.finish_reasons |= reasons
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
    params = request.params
    _check(serving, request)
    text = "".join([prompt for prompt in request.prompts if isinstance(prompt, str)])
    loaded, start = serving.find(asked, text)
    loaded.driver.admit(len(request.prompts) * params.num_slots)
    reading = partial(
        read_prompt,
        loaded.model.tokenizer,
        start=start,
        max_tokens=serving.settings.max_prompt_tokens,
        with_names=request.with_names,
        spells=request.is_echoed,
    )
    prompts = [await off_loop(len(given), partial(reading, given)) for given in request.prompts]
    echoes: list[list[TokenLogprob]] = []
    if request.is_echoed and params.logprobs is not None:
        echoing = gather(read_back(loaded.model, each, params.logprobs) for each in prompts)
        read = await loaded.driver.run(echoing, asked.caller)
        echoes, prompts = [tokens for tokens, _ in read], [prompt for _, prompt in read]
    seed = request.seed
    if seed is None:
        seed = 0 if params.beams else new_seed()
    running = loaded.driver.start(generate(loaded.model, prompts, params, seed), asked.caller)
    return StartedGeneration(loaded, request, prompts, echoes, running)


def _check(serving: Serving, request: GenerationRequest) -> None:
    settings, params = serving.settings, request.params
    if len(request.prompts) * params.num_tried > settings.max_texts:
        name = "best_of" if params.best_of else "n"
        raise InvalidParameterError(
            f"{len(request.prompts)} prompts x {name} {params.num_tried} are more than "
            f"{settings.max_texts} texts",
            name if params.num_tried > 1 else "prompt",
        )
    if params.sampling.max_tokens > settings.max_tokens:
        raise InvalidParameterError(
            f"max_tokens may be at most {settings.max_tokens:,}", "max_tokens"
        )
