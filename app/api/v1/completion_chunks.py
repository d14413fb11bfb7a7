"""`/v1/completions` as a stream: chunks of choices, perhaps one that counts tokens, `[DONE]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from starlette.types import Scope

from refrain.app.api.http.disconnect import DeadlineError
from refrain.app.api.http.errors import failure_of
from refrain.app.api.http.streaming import DONE, as_event, deltas_in_time
from refrain.app.api.v1.completion_choices import (
    CompletionRequest,
    choice_values,
    logprob_values,
    padded,
)
from refrain.app.services.generation import StartedGeneration
from refrain.inference.errors import EngineError
from refrain.inference.operation import Delta


async def chunks(
    completion: CompletionRequest, seconds: float | None, scope: Scope
) -> AsyncGenerator[str, None]:
    """Yield the events of a completion; a fault after the start is an event `{"error": ...}` without `[DONE]`."""
    usage: dict[str, Any] = {"usage": None} if completion.includes_usage else {}
    started = completion.started
    num_sent: Counter[int] = Counter()
    try:
        for choice in _echoes(started):
            yield as_event({**completion.head, "choices": [choice], **usage})
        async for delta in deltas_in_time(started, seconds):
            if delta.text or delta.finish_reason or delta.logprobs:
                choice = _addition(started, delta, num_sent[delta.index])
                num_sent[delta.index] += len(delta.logprobs)
                yield as_event({**completion.head, "choices": [choice], **usage})
        if completion.includes_usage:
            counted = (await started.answer()).usage.as_json()
            yield as_event({**completion.head, "choices": [], "usage": counted})
        yield DONE
    except (EngineError, DeadlineError) as error:
        yield as_event(failure_of(error, scope))


def _echoes(started: StartedGeneration) -> Iterator[dict[str, Any]]:
    """Yield the prompt of each choice, if that is wanted."""
    if not started.request.is_echoed:
        return
    n = started.request.params.n
    for number, prompt in enumerate(started.prompts):
        logprobs = logprob_values(started.echoes[number]) if started.echoes else None
        for i in range(n):
            yield choice_values(number * n + i, prompt.text, None, logprobs)


def _addition(started: StartedGeneration, delta: Delta, num_sent: int) -> dict[str, Any]:
    """Return what a piece adds to its choice, of which so many tokens have been sent."""
    params, logprobs = started.request.params, None
    if params.logprobs is not None:
        entries, offset = delta.logprobs, 0
        if started.request.is_echoed:
            offset = len(started.prompts[delta.index // params.n].text)
            if delta.finish_reason:
                entries = padded(entries, params.sampling.max_tokens - num_sent)
        logprobs = logprob_values(entries, offset)
    return choice_values(delta.index, delta.text, delta.finish_reason, logprobs)
