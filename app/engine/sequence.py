"""One text on its way through the engine, and what is found out for it."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine.errors import EndedTextError
from app.engine.figures import Course
from models.native.sequence import GREEDY, CacheView, NativeSequence, SamplingParams
from models.native.structures import Purpose, Status

FinishReason = Literal["stop", "length"]
Alternatives = list[tuple[int, float]]
"""Likeliest tokens with their log-probabilities, likeliest first."""


@dataclass(frozen=True)
class TextState:
    """Everything a model remembers of a text: enough to go on with it anywhere.

    Attributes
    ----------
    packed
        The recurrent state after `position` tokens, the boundary counted.
    unread
        Tokens of the text that come after those; none where the text has ended by itself.
    """

    packed: bytes = field(repr=False)
    position: int
    unread: tuple[int, ...]


def require_open(state: TextState | None) -> None:
    """Refuse to score what follows the end of a text.

    Raises
    ------
    EndedTextError
        If the state's text has ended by itself.
    """
    if state is not None and not state.unread:
        raise EndedTextError("the text of this state has ended; what follows cannot be scored")


@dataclass(frozen=True)
class Written:
    """Tokens written since the last time; with a finish_reason they are the last.

    Of a text that is only read, if they were asked for, the last layer's states after each of its tokens, [N, size].
    """

    token_ids: list[int]
    logprobs: list[float]
    top: list[Alternatives]
    finish_reason: FinishReason | None = None
    state: TextState | None = None
    hidden: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Scored:
    """Natural log-probability, rank (1 = likeliest; none where they were not asked for) and top of each target.

    With a neural cache also the hidden state before each, [N, size], and what the cache alone gave it, [N].
    """

    logprobs: Ids[float]
    ranks: Ids[int]
    top: list[Alternatives] = field(default_factory=list)
    state: TextState | None = None
    hidden: NDArray[np.uint8] | None = None
    cache_probs: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Looked:
    """Natural log-probabilities of all tokens that may come next, float32 [V]; their entropy in nats; the top.

    Among candidates it is their log-probabilities alone, [num_candidates], without entropy and top; where only the top
    was asked for there are none.
    """

    log_probs: NDArray[np.float32] | None
    entropy: float
    top: Alternatives
    state: TextState | None = None


@dataclass(frozen=True)
class Hypothesis:
    """A text that a search has found; `score` is what it was ranked by."""

    token_ids: list[int]
    logprobs: list[float]
    top: list[Alternatives]
    finish_reason: FinishReason
    score: float
    state: TextState | None = None


@dataclass(frozen=True)
class Searched:
    """What a search has found, best first."""

    hypotheses: list[Hypothesis]


Outcome = Written | Scored | Looked | Searched

MAX_UNTOLD = 32
"""Tokens that a stream may be ahead of its reader."""

_REASONS: dict[Status, FinishReason] = {Status.STOPPED: "stop", Status.FULL: "length"}


@dataclass(eq=False)
class Sequence:
    """A text in a slot, or waiting for one.

    Attributes
    ----------
    native
        Its tokens and cursor, in memory that native steps work on.
    start
        Where it goes on from; None for the beginning of a text.
    caller
        Who asked: callers take turns, and see no state but their own.
    is_eager
        Whether tokens that are written are told at once, or all at the end.
    is_reader_ready
        Whether whoever reads an eager sequence has read all that was told; the engine's caller sets it.
    wants_state
        Whether its state is told at the end.
    state_before_last
        The state before the last token of a text that is only read: what is told of it.
    sink
        Where outcomes go: the engine only carries it.
    parked
        The packed state of one that has given its slot up, to go on with later.
    num_read_before
        Tokens that it had read when it got its slot.
    siblings
        Of the first text of a search: the slots that its other hypotheses take.
    course
        How far it has come, for the engine's figures.
    """

    native: NativeSequence
    start: TextState | None = None
    caller: str = ""
    is_eager: bool = False
    wants_state: bool = False
    is_reader_ready: bool = True
    slot: int = -1
    num_told: int = 0
    state_before_last: TextState | None = None
    sink: Any = None
    parked: bytes | None = None
    num_read_before: int = 0
    siblings: list[Sequence] = field(default_factory=list)
    course: Course = field(default_factory=Course)

    @classmethod
    def make(
        cls,
        purpose: Purpose,
        boundary_id: int,
        ids: Ids[int],
        *,
        vocab_size: int,
        params: SamplingParams = GREEDY,
        start: TextState | None = None,
        num_top: int = 0,
        caller: str = "",
        is_eager: bool = False,
        wants_state: bool = False,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        num_branches: int = 0,
        only_top: bool = False,
        wants_ranks: bool = True,
        hidden_size: int = 0,
    ) -> Sequence:
        """Begin a text with the boundary, or go on from where a state stands.

        Raises
        ------
        EndedTextError
            If it is to be scored from its first token on, and the state's text has ended.
        """
        if purpose is Purpose.SCORE:
            require_open(start)
        tokens = [boundary_id, *ids] if start is None else [*start.unread, *ids]
        native = NativeSequence(
            purpose,
            tokens,
            vocab_size=vocab_size,
            position=0 if start is None else start.position,
            params=params,
            num_top=num_top,
            cache=cache,
            candidates=candidates,
            num_branches=num_branches,
            only_top=only_top,
            wants_ranks=wants_ranks,
            hidden_size=hidden_size,
        )
        return cls(native, start, caller, is_eager and purpose is Purpose.GENERATE, wants_state)

    @property
    def num_slots(self) -> int:
        """Slots that it takes."""
        return 1 + len(self.siblings)

    @property
    def only_reads(self) -> bool:
        """Whether nothing is written or scored, so that the last token is read too."""
        return self.is_mute or self.native.purpose is Purpose.LOOK

    @property
    def is_mute(self) -> bool:
        """Whether nothing is wanted but the state after it."""
        return self.native.purpose is Purpose.GENERATE and not self.native.params.max_tokens

    @property
    def writes(self) -> bool:
        """Whether it is gone on with, token by token."""
        return self.native.purpose is Purpose.GENERATE and not self.is_mute

    @property
    def num_read_since(self) -> int:
        """Tokens read since it got its slot."""
        num_read: int = self.native.struct.num_read - self.num_read_before
        return num_read

    @property
    def num_prompt_read(self) -> int:
        """Given tokens that were read for it: neither in a state that it began with, nor known from before."""
        struct = self.native.struct
        num_read: int = min(struct.num_read, struct.num_given) - self.course.num_known
        return num_read

    @property
    def num_written(self) -> int:
        """Tokens written; of a search, those that its hypotheses were branched to, so far as they are counted."""
        num_found: int = self.native.struct.num_found
        return num_found if self.native.purpose is Purpose.GENERATE else self.course.num_written

    @property
    def num_untold(self) -> int:
        """Tokens found since the last time that any were told."""
        num_untold: int = self.native.struct.num_found - self.num_told
        return num_untold

    @property
    def is_told(self) -> bool:
        """Whether tokens are to be told as soon as they are there."""
        return self.is_eager and self.is_reader_ready

    @property
    def is_ahead(self) -> bool:
        """Whether a stream is so far ahead of its reader that it had better wait."""
        return self.is_eager and not self.is_reader_ready and self.num_untold >= MAX_UNTOLD

    @property
    def is_running(self) -> bool:
        """Whether there is more to do."""
        return self.native.status is Status.RUNNING

    def outcome(self, state: TextState | None) -> Outcome:
        """Tell what was found out since the last time; all of it once the sequence is done."""
        native = self.native
        if native.purpose is Purpose.LOOK:
            return Looked(native.log_probs, native.struct.entropy, self.next_top, state)
        first, last = self.num_told, native.struct.num_found
        self.num_told = last
        logprobs = native.logprobs[first:last].tolist()
        top = self._top(first, last)
        if native.purpose is Purpose.SCORE:
            ranks = [] if native.ranks is None else native.ranks.tolist()
            return Scored(logprobs, ranks, top, state, native.hidden, native.cache_probs)
        given = native.struct.num_given
        token_ids = native.tokens[given + first : given + last].tolist()
        reason = _REASONS.get(native.status)
        return Written(token_ids, logprobs, top, reason, state, native.hidden)

    @property
    def next_top(self) -> Alternatives:
        """Likeliest tokens after a text that is looked beyond, or branched."""
        return next(iter(self._top(0, 1)), [])

    def _top(self, first: int, last: int) -> list[Alternatives]:
        if self.native.top_ids is None or self.native.top_logprobs is None:
            return []
        ids = self.native.top_ids[first:last].tolist()
        logprobs = self.native.top_logprobs[first:last].tolist()
        return [list(zip(*row, strict=True)) for row in zip(ids, logprobs, strict=True)]
