"""`/v1/completions` as a stream: chunks of choices, perhaps one that counts tokens, `[DONE]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any

from app.api.disconnect import DeadlineError
from app.api.streaming import DONE, as_event, event_of_fault, pieces_in_time, usage_answer
from app.api.v1.completion_choices import choice_values, logprob_values, padded
from app.engine.errors import EngineError
from app.services.choice import Piece
from app.services.generation import Generation

if TYPE_CHECKING:
    from app.api.v1.completions import Completion


async def chunks(completion: Completion, seconds: float | None) -> AsyncGenerator[str, None]:
    """Give the events of a completion; a fault after the start is an event `{"error": ...}` without `[DONE]`."""
    usage: dict[str, Any] = {"usage": None} if completion.includes_usage else {}
    generation = completion.generation
    num_told: Counter[int] = Counter()
    try:
        for choice in _echoes(generation):
            yield as_event({**completion.head, "choices": [choice], **usage})
        async for piece in pieces_in_time(generation, seconds):
            if piece.text or piece.finish_reason or piece.logprobs:
                choice = _addition(generation, piece, num_told[piece.index])
                num_told[piece.index] += len(piece.logprobs)
                yield as_event({**completion.head, "choices": [choice], **usage})
        if completion.includes_usage:
            counted = usage_answer(generation.usage).model_dump()
            yield as_event({**completion.head, "choices": [], "usage": counted})
        yield DONE
    except (EngineError, DeadlineError) as error:
        yield event_of_fault(error)


def _echoes(generation: Generation) -> Iterator[dict[str, Any]]:
    """Give each choice its prompt, if that is wanted."""
    if not generation.options.is_echoed:
        return
    for place, prompt in enumerate(generation.prompts):
        logprobs = logprob_values(generation.echoes[place]) if generation.echoes else None
        for i in range(generation.options.n):
            yield choice_values(place * generation.options.n + i, prompt.text, None, logprobs)


def _addition(generation: Generation, piece: Piece, num_told: int) -> dict[str, Any]:
    """Give what a piece adds to its choice, of which so many tokens have been told."""
    options, logprobs = generation.options, None
    if options.num_logprobs is not None:
        entries, offset = piece.logprobs, 0
        if options.is_echoed:
            offset = len(generation.prompts[piece.index // options.n].text)
            if piece.finish_reason:
                entries = padded(entries, options.sampling.max_tokens - num_told)
        logprobs = logprob_values(entries, offset)
    return choice_values(piece.index, piece.text, piece.finish_reason, logprobs)
