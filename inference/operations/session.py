"""Texts that grow: what was read is not read again, and a word under way may be cut anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from refrain.inference.engine.request import TextState
from refrain.inference.operation import Operation, read
from refrain.inference.operations.scoring import score_ids
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.want import Want
from refrain.models.neural_cache import NeuralCache

REMEMBERED_AT_ONCE = 256
"""Tokens of an adaptive text that are read in one go."""


@dataclass(frozen=True)
class GrowingText:
    """One text under way, as far as it has come.

    Attributes
    ----------
    state
        The memory of the text up to the word under way; None at the beginning of a text.
    tail
        The word under way, with the space before it: what comes may yet change how it is cut to tokens.
    num_tokens
        Tokens that the state stands for.
    cache
        What the text has had, if it adapts to that.
    """

    state: TextState | None = None
    tail: str = ""
    num_tokens: int = 0
    cache: NeuralCache | None = None

    @property
    def cache_view(self) -> CacheView | None:
        """What the text has had, to predict by."""
        return self.cache.view() if self.cache else None

    def fork(self) -> GrowingText:
        """Return one that goes on from here by itself."""
        return replace(self, cache=self.cache.copy() if self.cache else None)


def append(text: GrowingText, ids: Sequence[int], tail: str) -> Operation[GrowingText]:
    """Read tokens that are settled; whoever leaves half-way leaves the text as it was."""
    state, cache = text.state, text.cache
    if cache:
        if len(ids) > REMEMBERED_AT_ONCE:
            cache = cache.copy()
        for first in range(0, len(ids), REMEMBERED_AT_ONCE):
            some = ids[first : first + REMEMBERED_AT_ONCE]
            found = yield from score_ids(some, state, Want(state=True), cache.view())
            assert found.hidden is not None
            assert found.cache_probs is not None
            cache.append(found.hidden, some, found.logprobs, found.cache_probs)
            state = found.state
    elif ids:
        state = yield from read(ids, state)
    return GrowingText(state, tail, text.num_tokens + len(ids), cache)
