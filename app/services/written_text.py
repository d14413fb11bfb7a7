"""Tokens as they are written, to text: up to a stop string, wherever token borders fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.engine.sequence import FinishReason, Written
from app.services.stop_strings import StopStrings
from models.tokenizer import Tokenizer


class WrittenText:
    """One text under way.

    Parameters
    ----------
    stops
        Strings that end it, and are no part of it.
    follows_text
        Whether anything comes before it.
    drops_space
        Whether a space at its beginning is the prompt's already.

    Attributes
    ----------
    token_ids
        What was written, as far as it counts.
    """

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str], *, follows_text: bool, drops_space: bool
    ) -> None:
        self._decoder = tokenizer.stream(follows_text=follows_text)
        self._has_stops = bool(stops)
        self._stops = StopStrings(stops)
        self._drops_space = drops_space
        self._sum_logprobs = 0.0
        self.token_ids: list[int] = []

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string has ended it."""
        return self._stops.is_stopped

    @property
    def mean_logprob(self) -> float:
        """Of the tokens so far."""
        return self._sum_logprobs / max(1, len(self.token_ids))

    def take(self, written: Written) -> tuple[str, FinishReason | None]:
        """Decode new tokens, up to one that completes a stop string, and tell whether the text is over."""
        if self._has_stops:
            text, num_taken = self._take_until_stop(written.token_ids)
        else:
            text, num_taken = self._decode(written.token_ids), len(written.token_ids)
        self.token_ids += written.token_ids[:num_taken]
        self._sum_logprobs += math.fsum(written.logprobs[:num_taken])
        reason: FinishReason | None = "stop" if self.is_stopped else written.finish_reason
        if reason and not self.is_stopped:
            text += self._stops.push(self._decoder.finish()) + self._stops.finish()
        return text, reason

    def _take_until_stop(self, token_ids: list[int]) -> tuple[str, int]:
        """Decode tokens one by one; tell how many were taken."""
        text = ""
        for num_taken, token_id in enumerate(token_ids, start=1):
            text += self._stops.push(self._decode([token_id]))
            if self.is_stopped:
                return text, num_taken
        return text, len(token_ids)

    def _decode(self, token_ids: list[int]) -> str:
        text = self._decoder.push(token_ids)
        if self._drops_space and text:
            self._drops_space = False
            return text.removeprefix(" ")
        return text
