"""What `/v1/completions` says of a text: its choice and its log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.services.choice import TokenLogprob
from app.services.echo import PromptToken
from models.tokenizer import EOS

LEAST_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON cannot say."""

Entry = TokenLogprob | PromptToken


def choice_values(
    index: int, text: str, finish_reason: str | None, logprobs: dict[str, Any] | None
) -> dict[str, Any]:
    """Give a choice, or what a chunk adds to one."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}


def logprob_values(entries: Iterable[Entry], offset: int = 0) -> dict[str, Any]:
    """Give the four lists of a choice's log-probabilities; `offset` is where its text begins."""
    entries = list(entries)
    return {
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [_finite(entry.logprob) for entry in entries],
        "top_logprobs": [_top(entry) for entry in entries],
        "text_offset": [offset + entry.place for entry in entries],
    }


def padded(written: Sequence[TokenLogprob], max_tokens: int) -> list[TokenLogprob]:
    """Fill up a text that ended by itself: after the end nothing comes but the end.

    Programs that read log-probabilities beside an echo count from the last one. `max_tokens` is how many there are to
    be.
    """
    ended = bool(written) and written[-1].token == EOS
    if not ended:
        return list(written)
    end = TokenLogprob(EOS, 0.0, [(EOS, 0.0)], written[-1].place)
    return [*written, *[end] * (max_tokens - len(written))]


def _top(entry: Entry) -> dict[str, float] | None:
    """Give the likeliest tokens and the one that stands there, with the very number that it has there."""
    if entry.logprob is None:
        return None
    top = {token: max(logprob, LEAST_LOGPROB) for token, logprob in entry.top}
    return top | {entry.token: max(entry.logprob, LEAST_LOGPROB)}


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST_LOGPROB)
