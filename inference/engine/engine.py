"""A step: schedule, run, update. No threads, no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from refrain.inference.engine.beam_search import BeamSearch
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.metrics import EngineMetrics
from refrain.inference.engine.prefix_cache import PrefixCache
from refrain.inference.engine.request import (
    Request,
    Result,
    Searched,
    TextState,
    Written,
    require_open,
)
from refrain.inference.engine.runner import Runner
from refrain.inference.engine.scheduler import Scheduler
from refrain.inference.engine.sequence import MAX_UNSENT, Sequence
from refrain.models.errors import StateError
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import Purpose, Status

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
        Returns the time in seconds.

    Attributes
    ----------
    interrupt
        Any thread may set it to end the native call under way after its step.
    """

    def __init__(
        self, runner: Runner, config: EngineConfig, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._runner = runner
        self.shape = runner.shape
        self.is_quick = runner.is_quick
        self.interrupt = runner.interrupt
        self._max_steps = config.max_steps
        self.num_slots = config.max_slots
        self.free_slots = list(reversed(range(config.max_slots)))
        self.scheduler = Scheduler(config)
        self.prefix_cache = PrefixCache(config.prefix_cache_bytes)
        self._searches: dict[Sequence, BeamSearch] = {}
        self.metrics = EngineMetrics()
        self._clock = clock
        self._unwritten: set[Sequence] = set()  # those that have their first token to write
        self._num_uncounted = 0  # steps

    def add(self, sequences: list[Sequence], *, is_admitted: bool = False) -> None:
        """Queue sequences, all or none, or refuse them as `Scheduler.check_room` does."""
        self.scheduler.add(sequences, is_admitted=is_admitted)
        now = self._clock()
        for sequence in sequences:
            sequence.timings.entered = now
            if beams := sequence.request.beams:
                self._searches[sequence] = BeamSearch(sequence, beams, self.shape.eos_id)

    def sequence(self, request: Request, caller: str = "") -> Sequence:
        """Make the only thing that runs: a text from its beginning, or from where its state stands; from any thread.

        Raises
        ------
        StateError
            If the state is not one of this model.
        InvalidParameterError
            If a token is not in the vocabulary.
        EndedTextError
            If what follows the end of a text is to be scored.
        """
        tokens, position = [self.shape.eos_id, *request.token_ids], 0
        if start := request.start:
            self._check_start(start, request.purpose)
            tokens, position = [*start.unread, *request.token_ids], start.position
        num_slots = request.beams.num_beams if request.beams else 1
        want = replace(request.want, branches=2 * num_slots) if request.beams else request.want
        make = partial(
            NativeSequence, request.purpose, tokens, self.shape, position=position, want=want
        )
        natives = [
            make(sampling=request.sampling, candidates=request.candidates, cache=request.cache)
            for _ in range(num_slots)
        ]
        root, *root.siblings = [Sequence(request, native, caller) for native in natives]
        is_whole = start is None and request.purpose is not Purpose.SCORE and not want.hidden
        root.is_cached = self.prefix_cache.is_enabled and is_whole and len(tokens) > MIN_CACHED
        return root

    def _check_start(self, start: TextState, purpose: Purpose) -> None:
        size = self.shape.state_bytes
        if len(start.packed) != size:
            raise StateError(f"a state of this model has {size} bytes, not {len(start.packed)}")
        if purpose is Purpose.SCORE:
            require_open(start)

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence and free its slots."""
        self._searches.pop(sequence, None)
        self._unwritten.discard(sequence)
        self._count_tokens([sequence], self._clock())
        if self.scheduler.remove(sequence):
            self.free_slots += [row.slot for row in (sequence, *sequence.siblings)]

    def admit(self) -> None:
        """Assign free slots, emptied or filled with a known state, to those who wait; preempt some if it is time."""
        for sequence in self.scheduler.preempt(len(self.free_slots)):
            sequence.swapped_out = self._runner.pack(sequence)
            self.free_slots.append(sequence.slot)
        for sequence in self.scheduler.admit(self.free_slots):
            self._open(sequence)
            timings = sequence.timings
            if timings.opened is None:  # one that comes back to a slot has been counted
                timings.opened = self._clock()
                self.metrics.queue_seconds.count(timings.opened - timings.entered)

    @property
    def has_work(self) -> bool:
        """Whether anybody may advance or get a slot: a stream that is far ahead of its reader waits for it."""
        scheduler = self.scheduler
        for sequence in scheduler.running:
            if not (sequence.is_streamed and sequence.is_ahead):
                return True
        has_somebody_to_open = scheduler.num_waiting > 0 and bool(self.free_slots)
        return has_somebody_to_open or (scheduler.num_taken > 0 and scheduler.has_somebody_to_move)

    def step(self) -> list[tuple[Sequence, Result]]:
        """Advance everybody who holds a slot and is not ahead of its reader; return what was found out.

        This is one step if somebody waits for every token, else as many as it takes for something to happen.
        """
        advancing = [s for s in self.scheduler.running if not (s.is_streamed and s.is_ahead)]
        if not advancing:
            return []
        num_steps = self._max_steps
        for sequence in advancing:
            if sequence.is_streamed:
                num_steps = 1 if sequence.is_reader_ready else min(num_steps, MAX_UNSENT)
                if num_steps == 1:
                    break
        now = self._run(self._rows(advancing) if self._searches else advancing, num_steps)
        results: list[tuple[Sequence, Result]] = []
        for sequence in advancing:
            if sequence.native.struct.num_read == sequence.native.struct.mark:
                self._remember(sequence)
            if sequence in self._searches:
                results += self._advance_search(sequence)
            elif not sequence.is_running:
                results.append((sequence, self._close(sequence)))
            elif sequence.is_streamed and sequence.is_reader_ready and sequence.num_unsent:
                results.append((sequence, sequence.result(None)))
        messages = [(s.timings, len(r.token_ids)) for s, r in results if type(r) is Written]
        self.metrics.count_sent(messages, now)
        return results

    def _run(self, rows: list[Sequence], max_steps: int) -> float:
        """Run steps and count them; return the time of their end."""
        started = self._clock()
        num_steps = self._runner.run(rows, max_steps)
        now = self._clock()
        self.metrics.count_steps(len(rows), num_steps, now - started)
        for sequence in [s for s in self._unwritten if s.native.struct.num_found]:
            self._unwritten.remove(sequence)
            timings, steps_ago = sequence.timings, sequence.native.struct.num_found - 1
            timings.first_token = now - steps_ago * (now - started) / max(1, num_steps)
            self.metrics.first_token_seconds.count(timings.first_token - timings.entered)
        self._num_uncounted += num_steps
        if self._num_uncounted >= COUNT_STEPS:
            self._num_uncounted = 0
            self._count_tokens(self.scheduler.running, now)
        return now

    def _count_tokens(self, sequences: Iterable[Sequence], now: float) -> None:
        """Count what texts have read and written since the last time."""
        num_prompt = num_written = 0
        for sequence in sequences:
            timings = sequence.timings
            read, written = sequence.num_prompt_read, sequence.num_written
            num_prompt += read - timings.num_prompt
            num_written += written - timings.num_written
            timings.num_prompt, timings.num_written = read, written
        self.metrics.count_tokens(num_prompt, num_written, now)

    def answer(self, request: Request, caller: str = "") -> tuple[Sequence, Result]:
        """Serve one request to its end; for who has an idle engine to himself."""
        sequence = self.sequence(request, caller)
        self.add([sequence])
        return sequence, self.finish(sequence)

    def finish(self, sequence: Sequence) -> Result:
        """Run the only sequence of an idle engine to its end."""
        self.admit()
        while True:
            for found, result in self.step():
                if found is sequence and result.finish_reason:
                    return result

    def _rows(self, sequences: list[Sequence]) -> list[Sequence]:
        """Return what steps: of a search all of its live hypotheses."""
        found = self._searches
        return [row for s in sequences for row in (found[s].rows if s in found else [s])]

    def _advance_search(self, root: Sequence) -> list[tuple[Sequence, Result]]:
        search = self._searches[root]
        if search.is_answered:
            root.timings.num_written += len(search.rows)
            self.metrics.count_tokens(0, len(search.rows), self._clock())
            search.advance(self._runner)
        if not search.is_done:
            return []
        self.remove(root)
        return [(root, Searched(search.hypotheses))]

    def _open(self, sequence: Sequence) -> None:
        """Fill the slot; skip what the caller has had read before."""
        native = sequence.native
        sequence.num_read_before = native.struct.num_read
        if native.writes and sequence.timings.first_token is None:
            self._unwritten.add(sequence)
        if sequence.swapped_out is not None:
            self._runner.open(sequence, sequence.swapped_out)
            sequence.swapped_out = None
            return
        start = sequence.request.start
        packed = start.packed if start else None
        if sequence.is_cached:
            tokens = native.tokens[: native.struct.num_given]
            if found := self.prefix_cache.find(sequence.caller, tokens):
                native.struct.num_read, packed = found
                sequence.timings.num_known = native.struct.num_read
        self._runner.open(sequence, packed)
        if sequence.is_cached or (sequence.wants_state and sequence.only_reads):
            native.struct.mark = native.struct.num_given - 1
            if native.struct.num_read == native.struct.mark:
                self._remember(sequence)

    def _remember(self, sequence: Sequence) -> None:
        """Keep the state as it is now: for the caller's next text, and to be reported."""
        native = sequence.native
        native.struct.mark = -1
        position = native.struct.position + native.struct.num_read
        unread = () if native.status is Status.STOPPED else tuple(native.unread)
        sequence.state = TextState(self._runner.pack(sequence), position, unread)
        if sequence.is_cached:
            tokens, packed = native.tokens[:position], sequence.state.packed
            self.prefix_cache.put(sequence.caller, tokens, packed)

    def _close(self, sequence: Sequence) -> Result:
        """Free the slot of a sequence that is done; return its last result."""
        if not sequence.only_reads and (sequence.wants_state or sequence.is_cached):
            self._remember(sequence)
        self.remove(sequence)
        return sequence.result(sequence.state if sequence.wants_state else None)
