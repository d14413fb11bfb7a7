"""One request on its way through the engine: its tokens and cursor, and what has been reported of them."""

from __future__ import annotations

from refrain.inference.engine.metrics import Timings
from refrain.inference.engine.request import (
    Alternatives,
    FinishReason,
    Predicted,
    Request,
    Result,
    Scored,
    TextState,
    Written,
)
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import Purpose, Status

MAX_UNSENT = 32
"""Tokens that a stream may be ahead of its reader."""

_REASONS: dict[int, FinishReason] = {Status.STOPPED: "stop", Status.FULL: "length"}


class Sequence:
    """A request in a slot, or waiting for one; only the engine makes one.

    Attributes
    ----------
    native
        Its tokens and cursor, in memory that native steps work on.
    caller
        Who asked: callers get time slices in turn, and see no state but their own.
    is_streamed
        Whether tokens that are written are reported at once, or all at the end.
    is_written
        Whether the text is continued.
    only_reads
        Whether nothing is written or scored, so that the last token is read too.
    state
        The state that is reported, once it is known: of a text that is only read that before its last token.
    """

    def __init__(self, request: Request, native: NativeSequence, caller: str = "") -> None:
        self.request = request
        self.native = native
        self.caller = caller
        self.wants_state = request.want.state
        self.num_slots = request.beams.num_beams if request.beams else 1
        self.is_written = native.writes or request.beams is not None
        self.is_prefill_only = native.is_prefill_only
        self.is_streamed = request.is_streamed and request.purpose is Purpose.GENERATE
        self.only_reads = self.is_prefill_only or request.purpose is Purpose.PREDICT
        self.is_reader_ready = True  # who reads a stream has read all that was sent; drivers set it
        self.slot = -1
        self.num_sent = 0  # tokens that have been reported
        self.is_cached = False  # its states are kept for the caller's next text
        self.state: TextState | None = None
        self.swapped_out: bytes | None = None  # the packed state of one that was preempted
        self.num_read_before = 0  # tokens that it had read when it got its slot
        self.siblings: list[Sequence] = []  # of a search's first text: its other hypotheses
        self.timings = Timings()

    @property
    def num_read_since(self) -> int:
        """Tokens read since it got its slot."""
        return self.native.struct.num_read - self.num_read_before

    @property
    def num_prompt_read(self) -> int:
        """Given tokens that were read for it: neither in a state that it began with, nor known from before."""
        struct = self.native.struct
        return min(struct.num_read, struct.num_given) - self.timings.num_known

    @property
    def num_written(self) -> int:
        """Tokens written; of a search, those that its hypotheses were branched to, so far as they are counted."""
        is_search = self.native.purpose is not Purpose.GENERATE
        return self.timings.num_written if is_search else self.native.struct.num_found

    @property
    def num_unsent(self) -> int:
        """Tokens found since the last time that any were reported."""
        return self.native.struct.num_found - self.num_sent

    @property
    def is_ahead(self) -> bool:
        """Whether a stream is so far ahead of its reader that it had better wait."""
        return self.is_streamed and not self.is_reader_ready and self.num_unsent >= MAX_UNSENT

    @property
    def is_running(self) -> bool:
        """Whether there is more to do."""
        return self.native.struct.status == Status.RUNNING

    def result(self, state: TextState | None) -> Result:
        """Return what was found out since the last time; all of it once the sequence is done."""
        native = self.native
        if native.purpose is Purpose.PREDICT:
            return Predicted(native.log_probs, native.struct.entropy, self.next_top, state)
        first, last = self.num_sent, native.struct.num_found
        self.num_sent = last
        logprobs = native.logprobs[first:last].tolist()
        top = [] if native.top_ids is None else self._top(first, last)
        if native.purpose is Purpose.SCORE:
            ranks = [] if native.ranks is None else native.ranks.tolist()
            return Scored(logprobs, ranks, top, state, native.hidden, native.cache_probs)
        given = native.struct.num_given
        token_ids = native.tokens[given + first : given + last].tolist()
        reason = _REASONS.get(native.struct.status)
        return Written(token_ids, logprobs, top, reason, state, native.hidden)

    @property
    def next_top(self) -> Alternatives:
        """Likeliest next tokens of a text whose next token is predicted, or branched."""
        return next(iter(self._top(0, 1)), [])

    def _top(self, first: int, last: int) -> list[Alternatives]:
        if self.native.top_ids is None or self.native.top_logprobs is None:
            return []
        ids = self.native.top_ids[first:last].tolist()
        logprobs = self.native.top_logprobs[first:last].tolist()
        return [list(zip(*row, strict=True)) for row in zip(ids, logprobs, strict=True)]
