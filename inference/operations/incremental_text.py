"""Tokens as they are written, to text: up to a stop string, wherever token borders fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

from refrain.inference.engine.request import Alternatives, FinishReason, Written
from refrain.inference.operation import TokenAlternative, TokenLogprob
from refrain.inference.operations.prompt import Prompt
from refrain.inference.operations.stop_strings import StopStrings
from refrain.models.text.decode_stream import DecodeStream
from refrain.models.text.tokenizer import Tokenizer


class IncrementalText:
    """One text under way.

    Parameters
    ----------
    prompt
        What comes before it: whether a word to come needs a space, and whether that is there already.
    stops
        Strings that end it, and are no part of it.

    Attributes
    ----------
    token_ids
        What was written, as far as it counts.
    sum_logprobs
        Of these tokens.
    is_stopped
        Whether a stop string has ended it.
    """

    def __init__(
        self, tokenizer: Tokenizer, prompt: Prompt, stops: Sequence[str], *, wants_logprobs: bool
    ) -> None:
        self._tokenizer = tokenizer
        follows, drops = prompt.is_inside, prompt.drops_space
        self._decoder = DecodeStream(tokenizer, follows_text=follows, drops_space=drops)
        self._surfaces = DecodeStream(tokenizer, follows_text=follows, drops_space=drops)
        self._wants_logprobs = wants_logprobs
        self._offset = 0
        self._stops = StopStrings(stops) if stops else None
        self.token_ids: list[int] = []
        self.sum_logprobs = 0.0
        self.is_stopped = False

    def take(self, written: Written) -> tuple[str, FinishReason | None, list[TokenLogprob]]:
        """Decode new tokens, up to one that completes a stop string; return why the text is over, if it is."""
        text, reason = "", written.finish_reason
        if self._stops:
            text, num_taken = self._take_until_stop(written.token_ids, self._stops)
        else:
            text, num_taken = self._decoder.push(written.token_ids), len(written.token_ids)
        self.token_ids += written.token_ids[:num_taken]
        self.sum_logprobs += math.fsum(written.logprobs[:num_taken])
        if self.is_stopped:
            reason = "stop"
        elif reason:
            rest = self._decoder.finish()
            text += self._stops.push(rest) + self._stops.finish() if self._stops else rest
        return text, reason, self._logprobs(written, num_taken) if self._wants_logprobs else []

    def _take_until_stop(self, token_ids: list[int], stops: StopStrings) -> tuple[str, int]:
        """Decode tokens one by one; return how many were taken."""
        text = ""
        for num_taken, token_id in enumerate(token_ids, start=1):
            text += stops.push(self._decoder.push([token_id]))
            if stops.is_stopped:
                self.is_stopped = True
                return text, num_taken
        return text, len(token_ids)

    def _logprobs(self, written: Written, num_taken: int) -> list[TokenLogprob]:
        tops: list[Alternatives] = written.top or [[] for _ in written.token_ids]
        entries = list(zip(written.token_ids, written.logprobs, tops, strict=True))[:num_taken]
        found = []
        for token_id, logprob, top in entries:
            found.append(token_logprob(self._tokenizer, token_id, logprob, top, self._offset))
            self._offset += len(self._surfaces.push([token_id]))
        return found


def token_logprob(
    tokenizer: Tokenizer, token_id: int, logprob: float | None, top: Alternatives, offset: int
) -> TokenLogprob:
    """Return what is reported of a token, with surfaces in place of ids."""
    surface = tokenizer.surface
    alternatives = [TokenAlternative(surface(each), its) for each, its in top]
    return TokenLogprob(surface(token_id), logprob, alternatives, offset)
