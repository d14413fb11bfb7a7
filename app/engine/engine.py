"""A step: schedule, run, update. No threads, no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from app.engine.beam_search import BeamSearch
from app.engine.config import EngineConfig
from app.engine.figures import EngineFigures
from app.engine.prefix_cache import PrefixCache
from app.engine.runner import Runner
from app.engine.scheduler import Scheduler
from app.engine.sequence import MAX_UNTOLD, Outcome, Searched, Sequence, TextState, Written
from models.native.structures import Purpose, Status

MIN_CACHED = 8
"""Tokens below which reading again costs less than remembering."""
COUNT_STEPS = 64
"""Steps after which the tokens of texts under way are counted; those of a text that is done are at once."""


class Engine:
    """Advances every running sequence, a token a step.

    Reading a prompt and writing a text are the same step, so a running stream waits for no one's prompt: a step is one
    token of each running sequence, `max_slots` tokens at most.

    Parameters
    ----------
    clock
        Gives the time in seconds.
    """

    def __init__(
        self,
        runner: Runner,
        config: EngineConfig,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._runner = runner
        self._max_steps = config.max_steps
        self.num_slots = config.max_slots
        self._free_slots = list(reversed(range(config.max_slots)))
        self.scheduler = Scheduler(config)
        self.prefix_cache = PrefixCache(config.prefix_cache_bytes)
        self._searches: dict[Sequence, BeamSearch] = {}
        self.figures = EngineFigures()
        self._clock = clock
        self._unwritten: set[Sequence] = set()  # those that have their first token to write
        self._num_uncounted = 0  # steps

    @property
    def share_of_slots(self) -> float:
        """Share of the slots that are taken."""
        return 1 - len(self._free_slots) / self.num_slots

    @property
    def has_room(self) -> bool:
        """Whether a new text would get a slot at once."""
        return bool(self._free_slots)

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences, all or none."""
        sequences = list(sequences)
        self.scheduler.add(sequences)
        now = self._clock()
        for sequence in sequences:
            sequence.course.entered = now

    def add_search(self, root: Sequence, search: BeamSearch) -> None:
        """Queue the first text of a search."""
        self.add([root])
        self._searches[root] = search

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence and free its slots."""
        self._searches.pop(sequence, None)
        self._unwritten.discard(sequence)
        self._count_tokens([sequence], self._clock())
        if self.scheduler.remove(sequence):
            self._free_slots += [row.slot for row in (sequence, *sequence.siblings)]

    def admit(self) -> None:
        """Give free slots, emptied or filled with a known state, to those who wait; free some first, if it is time."""
        for sequence in self.scheduler.give_up(len(self._free_slots)):
            sequence.parked = self._runner.pack(sequence)
            self._free_slots.append(sequence.slot)
        for sequence in self.scheduler.admit(self._free_slots):
            self._open(sequence)
            self.figures.count_opened(sequence.course, self._clock())

    @property
    def can_step(self) -> bool:
        """Whether anybody may advance: a stream that is far ahead of its reader waits for it."""
        return any(not sequence.is_ahead for sequence in self.scheduler.running)

    def step(self) -> list[tuple[Sequence, Outcome]]:
        """Advance everybody who holds a slot and is not ahead of its reader, and tell what was found out.

        This is one step if somebody waits for every token, else as many as it takes for something to happen.
        """
        advancing = [s for s in self.scheduler.running if not s.is_ahead]
        if not advancing:
            return []
        now = self._run(self._rows(advancing), self._num_steps(advancing))
        outcomes: list[tuple[Sequence, Outcome]] = []
        for sequence in advancing:
            if sequence.native.struct.num_read == sequence.native.struct.mark:
                self._remember(sequence)
            if sequence in self._searches:
                outcomes += self._advance_search(sequence)
            elif not sequence.is_running:
                outcomes.append((sequence, self._close(sequence)))
            elif sequence.is_told and sequence.num_untold:
                outcomes.append((sequence, sequence.outcome(None)))
        messages = [(s.course, len(o.token_ids)) for s, o in outcomes if type(o) is Written]
        self.figures.count_told(messages, now)
        return outcomes

    def _run(self, rows: list[Sequence], max_steps: int) -> float:
        """Run steps and count them; gives the time of their end."""
        started = self._clock()
        num_steps = self._runner.run(rows, max_steps)
        now = self._clock()
        self.figures.count_steps(len(rows), num_steps, now - started)
        if self._unwritten:
            self._count_first_tokens(now, (now - started) / max(1, num_steps))
        self._num_uncounted += num_steps
        if self._num_uncounted >= COUNT_STEPS:
            self._num_uncounted = 0
            self._count_tokens(self.scheduler.running, now)
        return now

    def _count_first_tokens(self, now: float, step_seconds: float) -> None:
        """Count texts that have begun to write: as many steps ago as they have written tokens after the first."""
        for sequence in [s for s in self._unwritten if s.native.struct.num_found]:
            self._unwritten.remove(sequence)
            num_steps = sequence.native.struct.num_found - 1
            self.figures.count_first_token(sequence.course, now - num_steps * step_seconds)

    def _count_tokens(self, sequences: Iterable[Sequence], now: float) -> None:
        """Count what texts have read and written since the last time."""
        num_prompt = num_written = 0
        for sequence in sequences:
            course = sequence.course
            read, written = sequence.num_prompt_read, sequence.num_written
            num_prompt += read - course.num_prompt
            num_written += written - course.num_written
            course.num_prompt, course.num_written = read, written
        self.figures.count_tokens(num_prompt, num_written, now)

    def answer(self, sequence: Sequence) -> Outcome:
        """Serve one sequence to its end, and give its last outcome; for who has an idle engine to himself."""
        self.add([sequence])
        self.admit()
        while True:
            for _, outcome in self.step():
                if is_final(outcome):
                    return outcome

    def _rows(self, sequences: list[Sequence]) -> list[Sequence]:
        """Give what steps: of a search all of its live hypotheses."""
        if not self._searches:
            return sequences
        rows: list[Sequence] = []
        for sequence in sequences:
            search = self._searches.get(sequence)
            rows += search.rows if search else [sequence]
        return rows

    def _advance_search(self, root: Sequence) -> list[tuple[Sequence, Outcome]]:
        search = self._searches[root]
        if search.is_answered:
            root.course.num_written += len(search.rows)
            self.figures.count_tokens(0, len(search.rows), self._clock())
            search.advance(self._runner)
        if not search.is_done:
            return []
        self.remove(root)
        return [(root, Searched(search.hypotheses))]

    def _num_steps(self, advancing: list[Sequence]) -> int:
        if any(sequence.is_told for sequence in advancing):
            return 1
        is_any_eager = any(sequence.is_eager for sequence in advancing)
        return MAX_UNTOLD if is_any_eager else self._max_steps

    def _open(self, sequence: Sequence) -> None:
        """Fill the slot; skip what the caller has had read before."""
        native = sequence.native
        sequence.num_read_before = native.struct.num_read
        if sequence.writes and sequence.course.first_token is None:
            self._unwritten.add(sequence)
        if sequence.parked is not None:
            self._runner.open(sequence, sequence.parked)
            sequence.parked = None
            return
        packed = sequence.start.packed if sequence.start else None
        is_cached = self._is_cached(sequence)
        if is_cached:
            tokens = native.tokens[: native.struct.num_given]
            if found := self.prefix_cache.find(sequence.caller, tokens):
                native.struct.num_read, packed = found
                sequence.course.num_known = native.struct.num_read
        self._runner.open(sequence, packed)
        if is_cached or (sequence.wants_state and sequence.only_reads):
            native.struct.mark = native.struct.num_given - 1
            if native.struct.num_read == native.struct.mark:
                self._remember(sequence)

    def _is_cached(self, sequence: Sequence) -> bool:
        is_long = sequence.native.struct.num_given > MIN_CACHED
        is_score = sequence.native.purpose is Purpose.SCORE
        is_whole = sequence.start is None and not is_score and sequence.native.hidden is None
        return self.prefix_cache.is_enabled and is_whole and is_long

    def _remember(self, sequence: Sequence) -> None:
        """Keep the state before the last given token: for the caller's next text, and for who looks beyond this one."""
        sequence.native.struct.mark = -1
        state = self._state_of(sequence)
        if self._is_cached(sequence):
            tokens = sequence.native.tokens[: state.position]
            self.prefix_cache.put(sequence.caller, tokens, state.packed)
        sequence.state_before_last = state

    def _close(self, sequence: Sequence) -> Outcome:
        """Free the slot of a sequence that is done, and tell its end."""
        state = sequence.state_before_last if sequence.only_reads else None
        if not sequence.only_reads and (sequence.wants_state or self._is_cached(sequence)):
            state = self._state_of(sequence)
            if self._is_cached(sequence):
                tokens = sequence.native.tokens[: state.position]
                self.prefix_cache.put(sequence.caller, tokens, state.packed)
        self.remove(sequence)
        return sequence.outcome(state if sequence.wants_state else None)

    def _state_of(self, sequence: Sequence) -> TextState:
        native = sequence.native
        position = native.struct.position + native.struct.num_read
        unread = () if native.status is Status.STOPPED else tuple(native.unread)
        return TextState(self._runner.pack(sequence), position, unread)


def is_final(outcome: Outcome) -> bool:
    """Tell whether an outcome is the last of its sequence."""
    return not isinstance(outcome, Written) or outcome.finish_reason is not None
