"""What one sequence is asked, and what is found out for it."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from refrain.inference.errors import EndedTextError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import NOTHING, Want

FinishReason = Literal["stop", "length"]
Alternatives = list[tuple[int, float]]
"""Likeliest tokens with their log-probabilities, likeliest first."""


@dataclass(frozen=True, slots=True)
class TextState:
    """Everything a model remembers of a text: enough to go on with it anywhere.

    Attributes
    ----------
    packed
        The recurrent state after `position` tokens, `<eos>` at the beginning counted.
    unread
        Tokens of the text that come after those; none where the text has ended by itself.
    """

    packed: bytes = field(repr=False)
    position: int
    unread: tuple[int, ...]

    def extended(self, token_id: int) -> TextState:
        """Return the state of the text with one token more, which is not read yet."""
        return TextState(self.packed, self.position, (*self.unread, token_id))


def require_open(state: TextState | None) -> None:
    """Refuse to score what follows the end of a text.

    Raises
    ------
    EndedTextError
        If the state's text has ended by itself.
    """
    if state is not None and not state.unread:
        raise EndedTextError("the text of this state has ended; what follows cannot be scored")


@dataclass(frozen=True, slots=True)
class BeamParams:
    """How to search.

    Attributes
    ----------
    num_beams
        Hypotheses that live side by side.
    length_penalty
        Hypotheses are ranked by their log-probability over their length to this power: above 0 favours long ones.
    """

    num_beams: int
    length_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """What one sequence is asked: it replaces every argument list on the way down.

    Attributes
    ----------
    token_ids
        Tokens of the text, after the `<eos>` that every text begins with, or after `start`.
    sampling
        How tokens are chosen; of a search only limits, biases and penalties count.
    candidates
        The tokens among which alone a prediction or a score is normalised; () for the whole vocabulary.
    cache
        What the text has had, to blend predictions with.
    beams
        Of a search (`Purpose.BRANCH`), and of nothing else.
    is_streamed
        Whether written tokens are reported as soon as they are there, or all at the end.
    """

    purpose: Purpose
    token_ids: Ids[int]
    start: TextState | None = None
    sampling: SamplingParams = GREEDY
    want: Want = NOTHING
    candidates: Ids[int] = ()
    cache: CacheView | None = None
    beams: BeamParams | None = None
    is_streamed: bool = False

    @classmethod
    def read(
        cls, token_ids: Ids[int], start: TextState | None = None, *, hidden: bool = False
    ) -> Request:
        """Return a request to read tokens for the state after them; nothing is predicted."""
        return cls(Purpose.GENERATE, token_ids, start, READ_ONLY, Want(state=True, hidden=hidden))


READ_ONLY = SamplingParams(max_tokens=0)


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens written since the last result; with a finish_reason they are the last.

    `hidden`, of a text that is only read, where it was wanted: the last layer's states after each of its tokens,
    uint8 [N, size] with zero point 128.
    """

    token_ids: list[int]
    logprobs: list[float]
    top: list[Alternatives]
    finish_reason: FinishReason | None = None
    state: TextState | None = None
    hidden: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """Natural log-probability, rank (1 = likeliest; none where they were not wanted) and top of each target.

    `hidden` is the state before each, [N, size], where it was wanted; with a neural cache `cache_probs` is what the
    cache alone gave each, [N].
    """

    finish_reason: ClassVar[FinishReason] = "stop"
    logprobs: Ids[float]
    ranks: Ids[int]
    top: list[Alternatives] = field(default_factory=list)
    state: TextState | None = None
    hidden: NDArray[np.uint8] | None = None
    cache_probs: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Predicted:
    """Natural log-probabilities of all tokens that may come next, float32 [V]; their entropy in nats; the top.

    Among candidates `log_probs` are theirs alone, [num_candidates], without entropy and top; where only the top was
    wanted it is None.
    """

    finish_reason: ClassVar[FinishReason] = "stop"
    log_probs: NDArray[np.float32] | None
    entropy: float
    top: Alternatives
    state: TextState | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text that a search has found; `score` is what it was ranked by."""

    token_ids: list[int]
    logprobs: list[float]
    top: list[Alternatives]
    finish_reason: FinishReason
    score: float
    state: TextState | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search has found, best first."""

    finish_reason: ClassVar[FinishReason] = "stop"
    hypotheses: list[Hypothesis]


Result = Written | Scored | Predicted | Searched
"""Its finish_reason is None while more is to come of the same request."""
