"""The engine on a thread of its own, awaited from any event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from collections.abc import Sequence as Ids
from contextlib import suppress
from functools import partial
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from app.engine import tally
from app.engine.beam_search import BeamParams, BeamSearch
from app.engine.config import EngineConfig
from app.engine.engine import Engine, is_final
from app.engine.errors import EngineError
from app.engine.figures import EngineFigures
from app.engine.prefix_cache import PrefixCache
from app.engine.runner import Runner
from app.engine.sequence import (
    Looked,
    Outcome,
    Scored,
    Searched,
    Sequence,
    TextState,
    Written,
)
from app.engine.thread import EngineThread, Load
from models.native.sequence import CacheView, SamplingParams
from models.native.structures import Purpose

Message = Outcome | EngineError
MAX_AT_ONCE = 8
"""Most tokens of a text that is read and answered on the event loop."""


class Mailbox:
    """Where one sequence's outcomes arrive, on the event loop that asked.

    Parameters
    ----------
    on_empty
        Called when its reader has read everything and comes for more.
    """

    def __init__(self, on_empty: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self._on_empty: Callable[[], None] | None = on_empty

    def close(self) -> None:
        """Let go of the sequence, which holds this mailbox: so its memory is free at once, without the collector."""
        self._on_empty = None

    async def get(self) -> Outcome:
        """Wait for the next outcome, or raise the error that ended the sequence."""
        if self.queue.empty() and self._on_empty:
            self._on_empty()
        message = await self.queue.get()
        if isinstance(message, EngineError):
            raise message
        return message


class TokenStream:
    """One text as it is written; leaving the `async with` aborts what is not finished."""

    def __init__(self, engine: AsyncEngine, sequence: Sequence) -> None:
        self._engine = engine
        self._sequence = sequence
        self._is_finished = False

    def __aiter__(self) -> TokenStream:
        return self

    async def __anext__(self) -> Written:
        if self._is_finished:
            raise StopAsyncIteration
        written = await self._sequence.sink.get()
        assert isinstance(written, Written)
        self._is_finished = written.finish_reason is not None
        if self._is_finished:
            self._sequence.sink.close()
            add_to_tally(self._sequence)
        return written

    async def __aenter__(self) -> TokenStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Free the slot within one step; harmless when the text is finished."""
        if not self._is_finished:
            self._is_finished = True
            self._engine.abort(self._sequence)
            self._sequence.sink.close()
            add_to_tally(self._sequence)


class AsyncEngine(EngineThread):
    """One model's engine thread and the face that services await."""

    def __init__(self, runner: Runner, config: EngineConfig, *, boundary_id: int) -> None:
        super().__init__("engine")
        self._runner = runner
        self._config = config
        self._engine = Engine(runner, config)
        self._boundary_id = boundary_id
        self._aborted: list[Sequence] = []
        self._open: set[Sequence] = set()
        self._is_idle = False

    @property
    def hidden_size(self) -> int:
        """Elements of a hidden state as a neural cache keeps it; 0 where there can be none."""
        return self._runner.hidden_size

    @property
    def figures(self) -> EngineFigures:
        return self._engine.figures

    @property
    def load(self) -> Load:
        config = self._config
        return Load(self.num_running, self.num_waiting, config.max_slots, config.max_queue)

    @property
    def share_of_slots(self) -> float:
        """Share of the slots that are taken; a search takes several."""
        return self._engine.share_of_slots

    @property
    def prefix_cache(self) -> PrefixCache:
        """The states of texts that were read before."""
        return self._engine.prefix_cache

    @property
    def num_running(self) -> int:
        """Sequences that hold a slot."""
        return len(self._engine.scheduler.running)

    @property
    def num_waiting(self) -> int:
        """Sequences that wait for one."""
        return self._engine.scheduler.num_waiting

    def sequence(
        self,
        purpose: Purpose,
        ids: Ids[int],
        *,
        params: SamplingParams | None = None,
        start: TextState | None = None,
        num_top: int = 0,
        caller: str = "",
        is_eager: bool = False,
        wants_state: bool = False,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        only_top: bool = False,
        wants_ranks: bool = False,
        hidden_size: int = 0,
    ) -> Sequence:
        """Make a sequence for this engine's model; see `Sequence`."""
        return Sequence.make(
            purpose,
            self._boundary_id,
            ids,
            vocab_size=self._runner.vocab_size,
            params=params or SamplingParams(),
            start=start,
            num_top=num_top,
            caller=caller,
            is_eager=is_eager,
            wants_state=wants_state,
            cache=cache,
            candidates=candidates,
            only_top=only_top,
            wants_ranks=wants_ranks,
            hidden_size=hidden_size,
        )

    def generate(self, sequences: Ids[Sequence]) -> list[TokenStream]:
        """Submit texts to go on with, all or none; one stream for each. Each must be allowed one token at least."""
        self._enter(sequences, lambda: self._engine.add(sequences))
        return [TokenStream(self, sequence) for sequence in sequences]

    async def search(
        self,
        ids: Ids[int],
        beams: BeamParams,
        *,
        params: SamplingParams,
        start: TextState | None = None,
        num_top: int = 0,
        caller: str = "",
        wants_state: bool = False,
    ) -> Searched:
        """Find the likeliest texts to go on with; of `params` only limits, biases and penalties count."""
        search = BeamSearch.begin(
            beams,
            self._boundary_id,
            ids,
            vocab_size=self._runner.vocab_size,
            params=params,
            start=start,
            num_top=num_top,
            caller=caller,
            wants_state=wants_state,
        )
        root = search.root
        outcome = await self._wait(root, lambda: self._engine.add_search(root, search))
        assert isinstance(outcome, Searched)
        return outcome

    async def score(
        self,
        token_ids: Ids[int],
        *,
        count_end: bool = False,
        start: TextState | None = None,
        num_top: int = 0,
        caller: str = "",
        wants_state: bool = False,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        wants_ranks: bool = False,
    ) -> Scored:
        """Give the log-probability of each token after those before it; with `count_end` of the end too.

        With candidates it is that among them alone; every token and, if counted, the end must be one of them.
        """
        ids = [*token_ids, self._boundary_id] if count_end else token_ids
        if not ids:
            return Scored([], [], state=start if wants_state else None)
        sequence = self.sequence(
            Purpose.SCORE,
            ids,
            start=start,
            num_top=num_top,
            caller=caller,
            wants_state=wants_state,
            cache=cache,
            candidates=candidates,
            wants_ranks=wants_ranks,
        )
        outcome = await self._ask(sequence)
        assert isinstance(outcome, Scored)
        return outcome

    async def hidden_states(
        self, token_ids: Ids[int], *, stride: int, caller: str = ""
    ) -> AsyncIterator[NDArray[np.uint8]]:
        """Give the last layer's state after each token, at most `stride` at once; integer models only.

        Blocks are [N, hidden_size] with zero point 128. Nothing is predicted.
        """
        state = None
        for first in range(0, len(token_ids), stride):
            block = token_ids[first : first + stride]
            read = await self._read(block, state, caller, self.hidden_size)
            state = read.state
            assert read.hidden is not None
            # Before them stands the boundary, or the last token of the block before.
            yield read.hidden[1:]

    async def look(
        self,
        token_ids: Ids[int],
        *,
        start: TextState | None = None,
        num_top: int = 0,
        caller: str = "",
        wants_state: bool = False,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        only_top: bool = False,
    ) -> Looked:
        """Give the natural log-probability of every token after these, and the likeliest in order.

        With candidates only theirs, among them alone; with `only_top` the likeliest alone.
        """
        sequence = self.sequence(
            Purpose.LOOK,
            token_ids,
            start=start,
            num_top=num_top,
            caller=caller,
            wants_state=wants_state,
            cache=cache,
            candidates=candidates,
            only_top=only_top,
        )
        outcome = await self._ask(sequence)
        assert isinstance(outcome, Looked)
        return outcome

    async def read(
        self, token_ids: Ids[int], *, start: TextState | None = None, caller: str = ""
    ) -> TextState:
        """Read tokens and give the state to go on from; nothing is predicted."""
        read = await self._read(token_ids, start, caller)
        assert read.state is not None
        return read.state

    async def _read(
        self, token_ids: Ids[int], start: TextState | None, caller: str, hidden_size: int = 0
    ) -> Written:
        sequence = self.sequence(
            Purpose.GENERATE,
            token_ids,
            params=SamplingParams(max_tokens=0),
            start=start,
            caller=caller,
            wants_state=True,
            hidden_size=hidden_size,
        )
        outcome = await self._ask(sequence)
        assert isinstance(outcome, Written)
        return outcome

    def abort(self, sequence: Sequence) -> None:
        """Take a sequence out before the next step."""
        with self._condition:
            if not self._is_stopping:
                self._aborted.append(sequence)
                self._wake()

    async def _ask(self, sequence: Sequence) -> Outcome:
        if (found := self._answer_at_once(sequence)) is not None:
            add_to_tally(sequence)
            return found
        return await self._wait(sequence, lambda: self._engine.add([sequence]))

    async def _wait(self, sequence: Sequence, add: Callable[[], None]) -> Outcome:
        """Queue a sequence and wait for its only outcome."""
        self._enter([sequence], add)
        try:
            outcome: Outcome = await sequence.sink.get()
        except asyncio.CancelledError:
            self.abort(sequence)
            raise
        finally:
            sequence.sink.close()
            add_to_tally(sequence)
        return outcome

    def _answer_at_once(self, sequence: Sequence) -> Outcome | None:
        """Answer a short question on the caller's own thread, if the engine has nothing else to do.

        To wake a thread and to be woken by it takes longer than a few steps of one row.
        """
        if not self._runner.is_quick or sequence.native.num_unread > MAX_AT_ONCE:
            return None
        with self._condition:
            self._check_alive()
            if not self._is_idle or self._aborted or self._engine.scheduler.is_busy:
                return None
            try:
                return self._engine.answer(sequence)
            except EngineError:
                raise
            except Exception as error:
                self._break(error)
                raise self._failure or error from error

    def _enter(self, sequences: Ids[Sequence], add: Callable[[], None]) -> None:
        """Give sequences a mailbox each, and queue them with `add`."""
        for sequence in sequences:
            sequence.sink = Mailbox(partial(self._reader_is_ready, sequence))
        with self._condition:
            self._check_alive()
            add()
            self._open.update(sequences)
            if self._engine.has_room:
                self._wake()
            else:
                self._condition.notify()

    def _check_room(self, num_items: int) -> None:
        self._check_alive()
        self._engine.scheduler.check_room(num_items)

    def _wake(self) -> None:
        self._runner.interrupt.value = 1
        self._condition.notify()

    def _serve(self) -> None:
        while self._wait_for_work():
            outcomes = self._engine.step()
            if outcomes:
                for sequence, _ in outcomes:
                    sequence.is_reader_ready = False
                with self._condition:
                    self._open.difference_update(s for s, found in outcomes if is_final(found))
                self._deliver(outcomes)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to stop."""
        with self._condition:
            self._is_idle = not self._engine.scheduler.is_busy
            self._condition.wait_for(self._has_work)
            self._is_idle = False
            self._runner.interrupt.value = 0
            for sequence in self._aborted:
                self._engine.remove(sequence)
                self._open.discard(sequence)
            self._aborted.clear()
            self._engine.admit()
            return not self._is_stopping

    def _has_work(self) -> bool:
        if self._is_stopping or self._aborted:
            return True
        if self._engine.scheduler.num_waiting and self._engine.has_room:
            return True
        return self._engine.can_step or self._engine.scheduler.has_somebody_to_move

    def _deliver(self, outcomes: Ids[tuple[Sequence, Message]]) -> None:
        """Hand outcomes over, with one call for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Sequence, Message]]] = defaultdict(list)
        for sequence, message in outcomes:
            by_loop[sequence.sink.loop].append((sequence, message))
        for loop, messages in by_loop.items():
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_post, messages)

    def _reader_is_ready(self, sequence: Sequence) -> None:
        """Tell the next tokens of a stream as soon as they are there: its reader has come for more."""
        if not sequence.is_reader_ready:
            with self._condition:
                sequence.is_reader_ready = True
                self._wake()

    def _end_all(self, error: EngineError) -> None:
        with self._condition:
            still_open = [(sequence, error) for sequence in self._open]
            self._open.clear()
        self._deliver(still_open)


def add_to_tally(sequence: Sequence) -> None:
    """Let the request at hand know what a text has cost, be it done or left."""
    tally.current().add(sequence.course, sequence.num_prompt_read, sequence.num_written)


def _post(messages: list[tuple[Sequence, Message]]) -> None:
    """Put outcomes to their mailboxes, on the event loop."""
    for sequence, message in messages:
        sequence.sink.queue.put_nowait(message)
