"""What `/v1/completions` returns of a text: its choice and its log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from refrain.app.services.generation import StartedGeneration
from refrain.inference.operation import TokenAlternative, TokenLogprob
from refrain.models.text.splitter import EOS

LEAST_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON cannot express."""


@dataclass(frozen=True)
class CompletionRequest:
    """A request that is being answered, and the part of each answer that never changes."""

    started: StartedGeneration
    head: dict[str, Any]
    includes_usage: bool


def choice_values(
    index: int, text: str, finish_reason: str | None, logprobs: dict[str, Any] | None
) -> dict[str, Any]:
    """Return a choice, or what a chunk adds to one."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}


def logprob_values(entries: Iterable[TokenLogprob], offset: int = 0) -> dict[str, Any]:
    """Return the four lists of a choice's log-probabilities; `offset` is where its text begins."""
    entries = list(entries)
    return {
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [_finite(entry.logprob) for entry in entries],
        "top_logprobs": [_top(entry) for entry in entries],
        "text_offset": [offset + entry.offset for entry in entries],
    }


def padded(written: Sequence[TokenLogprob], max_tokens: int) -> list[TokenLogprob]:
    """Fill up a text that ended by itself: after the end nothing comes but the end.

    Programs that read log-probabilities beside an echo count from the last one. `max_tokens` is how many there are to
    be.
    """
    ended = bool(written) and written[-1].token == EOS
    if not ended:
        return list(written)
    end = TokenLogprob(EOS, 0.0, [TokenAlternative(EOS, 0.0)], written[-1].offset)
    return [*written, *[end] * (max_tokens - len(written))]


def _top(entry: TokenLogprob) -> dict[str, float] | None:
    """Return the likeliest tokens and the one that stands there, with the very number that it has there."""
    if entry.logprob is None:
        return None
    top = {each.token: max(each.logprob, LEAST_LOGPROB) for each in entry.top}
    return top | {entry.token: max(entry.logprob, LEAST_LOGPROB)}


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST_LOGPROB)
