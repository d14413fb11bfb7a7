"""`/v1/completions` as a stream: chunks of choices, perhaps one that counts tokens, `[DONE]`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any

from app.api.disconnect import DeadlineError
from app.api.streaming import DONE, as_event, event_of_fault, pieces_in_time
from app.api.v1.completion_choices import choice_values, logprob_values, usage_values
from app.engine.errors import EngineError
from app.services.choice import Piece

if TYPE_CHECKING:
    from app.api.v1.completions import Completion


async def chunks(completion: Completion, seconds: float | None) -> AsyncGenerator[str, None]:
    """Give the events of a completion; a fault after the start is an event `{"error": ...}` without `[DONE]`."""
    usage: dict[str, Any] = {"usage": None} if completion.includes_usage else {}
    try:
        for choice in _echoes(completion):
            yield as_event({**completion.head, "choices": [choice], **usage})
        async for piece in pieces_in_time(completion.generation, seconds):
            if piece.text or piece.finish_reason or piece.logprobs:
                choice = _addition(completion, piece)
                yield as_event({**completion.head, "choices": [choice], **usage})
        if completion.includes_usage:
            counted = usage_values(completion.generation.usage)
            yield as_event({**completion.head, "choices": [], "usage": counted})
        yield DONE
    except (EngineError, DeadlineError) as error:
        yield event_of_fault(error)


def _echoes(completion: Completion) -> Iterator[dict[str, Any]]:
    """Give each choice its prompt, if that is wanted."""
    if not completion.is_echo:
        return
    generation = completion.generation
    for place, prompt in enumerate(generation.prompts):
        logprobs = logprob_values(completion.echoes[place]) if completion.echoes else None
        for i in range(generation.options.n):
            yield choice_values(place * generation.options.n + i, prompt.text, None, logprobs)


def _addition(completion: Completion, piece: Piece) -> dict[str, Any]:
    generation = completion.generation
    logprobs = None
    if generation.options.num_logprobs is not None:
        prompt = generation.prompts[piece.index // generation.options.n]
        offset = len(prompt.text) if completion.is_echo else 0
        logprobs = logprob_values(piece.logprobs, offset)
    return choice_values(piece.index, piece.text, piece.finish_reason, logprobs)
