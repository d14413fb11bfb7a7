"""Operations on an engine that has a thread of its own, awaited from any event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from refrain.inference.drivers.engine_thread import Caller, EngineThread, Load
from refrain.inference.drivers.execution import Execution, Message
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request
from refrain.inference.engine.sequence import Sequence as EngineSequence
from refrain.inference.errors import EngineError
from refrain.inference.operation import Delta, Operation

R = TypeVar("R")
MAX_AT_ONCE = 8
"""Most tokens of a text that is answered on the event loop: it takes less than to wake a thread and be woken by it."""


class ThreadedDriver(EngineThread):
    """Runs operations on the event loop that asks, and their requests on the engine's thread.

    An operation's own work, such as turning tokens to text, is short, and is done on the loop.
    """

    def __init__(self, engine: Engine, max_queue: int) -> None:
        super().__init__("engine")
        self.engine = engine
        self.metrics = engine.metrics
        self._max_queue = max_queue
        self._aborted: list[EngineSequence] = []
        self._open: dict[EngineSequence, Running[Any]] = {}
        self._is_asleep = False
        self.beginning: asyncio.AbstractEventLoop | None = None  # whose turn texts await

    @property
    def load(self) -> Load:
        scheduler, num_slots = self.engine.scheduler, self.engine.num_slots
        return Load(len(scheduler.running), scheduler.num_waiting, num_slots, self._max_queue)

    async def run(self, operation: Operation[R], caller: Caller | None = None) -> R:
        """Run an operation to its answer; whoever is cancelled meanwhile frees its slots.

        Raises
        ------
        QueueFullError, RequestTooLargeError
            If there is no room for what it asks first.
        EngineStoppedError, EngineFailureError
            If the engine has stopped, or broke.
        RefrainError
            Whatever the operation refuses.
        """
        return await Running(self, operation, caller=caller or Caller()).answer()

    def admit(self, num_slots: int) -> None:
        if self._refusal:
            raise self._refusal.with_traceback(None)
        self.engine.scheduler.check_room(num_slots)

    def submit(self, execution: Running[Any], requests: Sequence[Request]) -> list[EngineSequence]:
        """Queue requests, which begin together at the end of the event loop's turn."""
        engine = self.engine
        sequences = [engine.sequence(each, execution.caller.name) for each in requests]
        with self._condition:
            if self._refusal:
                raise self._refusal.with_traceback(None)
            engine.add(sequences, is_admitted=execution.is_admitted)
            self._open.update(dict.fromkeys(sequences, execution))
            if self.beginning is not execution.loop:
                self.beginning = execution.loop
                execution.loop.call_soon(self._end_turn, execution, sequences[0])
            if engine.scheduler.num_taken >= engine.num_slots:
                self._condition.notify()  # a loop that dies before its turn ends keeps nobody out
        return sequences

    def _end_turn(self, running: Running[Any], sequence: EngineSequence) -> None:
        """Begin what this turn of the event loop submitted; a short text that is alone is answered here."""
        engine = self.engine
        with self._condition:
            self.beginning = None
            is_alone = self._is_asleep and engine.scheduler.num_taken == 1 and engine.is_quick
            is_short = not sequence.is_written and sequence.native.num_unread <= MAX_AT_ONCE
            if is_alone and is_short and sequence in self._open:
                self._answer_at_once(sequence, running)
            else:
                engine.interrupt.value |= bool(engine.free_slots)
                self._condition.notify()

    def _answer_at_once(self, sequence: EngineSequence, running: Running[Any]) -> None:
        try:
            running.inbox.append((sequence, self.engine.finish(sequence)))
        except Exception as error:
            self._break(error)
        else:
            del self._open[sequence]
            _rouse([running])

    def abort(self, sequences: Iterable[EngineSequence]) -> None:
        """Take sequences out before the next step."""
        with self._condition:
            if not self._refusal:
                self._aborted += sequences
                self._wake()

    def await_more(self, unready: Sequence[EngineSequence]) -> None:
        """Report the next tokens of streams as soon as they are there: their reader has come for more."""
        with self._condition:
            for sequence in unready:
                sequence.is_reader_ready = True
            self._wake()

    def _wake(self) -> None:
        self.engine.interrupt.value = 1
        self._condition.notify()

    def _serve(self) -> None:
        while self._wait_for_work():
            if results := self.engine.step():
                self._deliver(results)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to stop."""
        with self._condition:
            self._is_asleep = True
            while not (self._refusal or self._aborted or self.engine.has_work):
                self._condition.wait()
            self._is_asleep = False
            self.engine.interrupt.value = 0
            for sequence in self._aborted:
                self.engine.remove(sequence)
                self._open.pop(sequence, None)
            self._aborted.clear()
            self.engine.admit()
            return self._refusal is None

    def _deliver(self, messages: Sequence[Message]) -> None:
        """Send results or errors to whom they are for, with one call for each event loop."""
        by_loop: defaultdict[asyncio.AbstractEventLoop, list[Running[Any]]] = defaultdict(list)
        with self._condition:
            for sequence, found in messages:
                sequence.is_reader_ready = False
                is_last = isinstance(found, EngineError) or found.finish_reason
                running = self._open.pop(sequence, None) if is_last else self._open.get(sequence)
                if running is not None:
                    running.inbox.append((sequence, found))
                    by_loop[running.loop].append(running)
        for loop, readers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_rouse, readers)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                self.abort([sequence for running in readers for sequence in running.waiting])

    def _end_all(self, error: EngineError) -> None:
        self._deliver([(sequence, error) for sequence in self._open])


@dataclass(eq=False, repr=False)
class Running(Execution[R]):
    """An operation under way on an event loop; whoever reads no more of it calls `abort`.

    Made, its first requests are queued, or it refuses as `ThreadedDriver.run` does.
    """

    driver: ThreadedDriver
    caller: Caller = field(default_factory=Caller)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    waiter: asyncio.Future[None] | None = None
    """Done once there is something in the inbox; who has left has cancelled it."""

    async def answer(self) -> R:
        """Wait for the answer."""
        try:
            while not self.is_done:
                await self._hear()
            return self.returned
        finally:
            self.abort()

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield pieces of text as they are written; close it when no more are wanted.

        The engine writes a few tokens ahead of whoever reads, and no more.
        """
        try:
            while True:
                while self.pieces:
                    yield self.pieces.popleft()
                if self.is_done:
                    return
                await self._hear()
        finally:
            self.abort()

    async def _hear(self) -> None:
        """Wait for results, and let the operation go on with them."""
        assert self.waiting, "nothing comes for who has left"
        if not self.inbox and self.driver.beginning is self.loop:
            await asyncio.sleep(0)  # by then it has begun, and may have been answered
        if not self.inbox:
            if unready := [s for s in self.waiting if s.is_streamed and not s.is_reader_ready]:
                self.driver.await_more(unready)
            self.waiter = self.loop.create_future()
            await self.waiter
        while self.inbox:
            sequence, found = self.inbox.popleft()
            if isinstance(found, EngineError):
                raise found
            self.resume(sequence, found)

    def _leave(self, sequence: EngineSequence) -> None:
        del self.waiting[sequence]
        stats = self.caller.stats
        stats.add(sequence.timings, sequence.num_prompt_read, sequence.num_written)


def _rouse(readers: list[Running[Any]]) -> None:
    """Have whoever waits for results read them, on the event loop."""
    for running in readers:
        if running.inbox and running.waiter is not None and not running.waiter.done():
            running.waiter.set_result(None)
