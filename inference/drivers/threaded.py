"""Operations on an engine that has a thread of its own, awaited from any event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from inference.drivers.engine_thread import Caller, EngineThread, Load
from inference.drivers.execution import Execution, Submitted
from inference.engine.engine import Engine
from inference.engine.metrics import EngineMetrics
from inference.engine.request import Request, Result
from inference.engine.sequence import Sequence as EngineSequence
from inference.errors import EngineError
from inference.operation import Delta, Operation

R = TypeVar("R")
Message = tuple[EngineSequence, Result | EngineError]
MAX_AT_ONCE = 8
"""Most tokens of a text that is read and answered on the event loop."""


class ThreadedDriver(EngineThread):
    """Runs operations on the event loop that asks, and their requests on the engine's thread.

    An operation's own work, such as turning tokens to text, is short, and is done on the loop.
    """

    def __init__(self, engine: Engine, max_queue: int) -> None:
        super().__init__("engine")
        self.engine = engine
        self._max_queue = max_queue
        self._aborted: list[EngineSequence] = []
        self._open: dict[EngineSequence, Running[Any]] = {}
        self._is_idle = False

    @property
    def metrics(self) -> EngineMetrics:
        return self.engine.metrics

    @property
    def load(self) -> Load:
        scheduler = self.engine.scheduler
        num_running, num_waiting = len(scheduler.running), scheduler.num_waiting
        return Load(num_running, num_waiting, self.engine.num_slots, self._max_queue)

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
        return await self.start(operation, caller).answer()

    def start(self, operation: Operation[R], caller: Caller | None = None) -> Running[R]:
        """Begin an operation whose text is read as it is written; refuses as `run` does, before anything is written."""
        return Running(self, operation, caller or Caller())

    def admit(self, num_slots: int) -> None:
        with self._condition:
            self._check_alive()
            self.engine.scheduler.check_room(num_slots)

    def submit(
        self, running: Running[R], requests: Sequence[Request], *, is_admitted: bool
    ) -> list[Submitted]:
        """Queue requests; one that is short is answered at once, if the engine has nothing else to do."""
        caller = running.caller.name
        with self._condition:
            self._check_alive()
            is_quick = self._is_idle and self._is_quick(requests)
            sequences = self.engine.add(requests, caller, is_admitted=is_admitted)
            if is_quick:
                return [self._answer_at_once(sequences[0])]
            for sequence in sequences:
                self._open[sequence] = running
            if self.engine.free_slots:
                self._wake()
            else:
                self._condition.notify()
        return [Submitted(sequence) for sequence in sequences]

    def abort(self, sequences: Iterable[EngineSequence]) -> None:
        """Take sequences out before the next step."""
        with self._condition:
            if not self._is_stopping:
                self._aborted += sequences
                self._wake()

    def await_more(self, unready: Sequence[EngineSequence]) -> None:
        """Report the next tokens of streams as soon as they are there: their reader has come for more."""
        with self._condition:
            for sequence in unready:
                sequence.is_reader_ready = True
            self._wake()

    def _is_quick(self, requests: Sequence[Request]) -> bool:
        """Return whether requests take less time than to wake a thread and to be woken by it."""
        is_short = not requests[0].is_written and requests[0].num_unread <= MAX_AT_ONCE
        is_free = not self._aborted and not self.engine.scheduler.num_taken
        return len(requests) == 1 and is_short and is_free and self.engine.is_quick

    def _answer_at_once(self, sequence: EngineSequence) -> Submitted:
        try:
            return Submitted(sequence, self.engine.finish(sequence))
        except Exception as error:
            failure = self._break(error)
            self._wake()
            raise failure from error

    def _wake(self) -> None:
        self.engine.interrupt.value = 1
        self._condition.notify()

    def _serve(self) -> None:
        while self._wait_for_work():
            if results := self.engine.step():
                for sequence, _ in results:
                    sequence.is_reader_ready = False
                self._deliver(results)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to stop."""
        with self._condition:
            self._is_idle = not self.engine.scheduler.num_taken
            self._condition.wait_for(self._has_work)
            self._is_idle = False
            self.engine.interrupt.value = 0
            for sequence in self._aborted:
                self.engine.remove(sequence)
                self._open.pop(sequence, None)
            self._aborted.clear()
            self.engine.admit()
            return not self._is_stopping

    def _has_work(self) -> bool:
        return self._is_stopping or bool(self._aborted) or self.engine.has_work

    def _deliver(self, messages: Sequence[Message]) -> None:
        """Send results or errors to whom they are for, with one call for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Running[Any], Message]]]
        by_loop = defaultdict(list)
        with self._condition:
            for message in messages:
                sequence, found = message
                is_last = isinstance(found, EngineError) or found.finish_reason
                running = self._open.pop(sequence, None) if is_last else self._open.get(sequence)
                if running is not None:
                    by_loop[running.loop].append((running, message))
        for loop, found_there in by_loop.items():
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_post, found_there)

    def _end_all(self, error: EngineError) -> None:
        self._deliver([(sequence, error) for sequence in list(self._open)])


class Running(Generic[R]):
    """An operation under way on an event loop; whoever reads no more of it calls `abort`."""

    def __init__(self, driver: ThreadedDriver, operation: Operation[R], caller: Caller) -> None:
        self.loop = asyncio.get_running_loop()
        self.caller = caller
        self.inbox: deque[Message] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self._driver = driver
        self._execution = Execution(operation)
        self._is_admitted = False
        self._execution.start(self._submit)
        self._is_admitted = True

    async def answer(self) -> R:
        """Wait for the answer."""
        try:
            while not self._execution.is_done:
                await self._hear()
            return self._execution.answer
        finally:
            self.abort()

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """Yield pieces of text as they are written; close it when no more are wanted.

        The engine writes a few tokens ahead of whoever reads, and no more.
        """
        try:
            while True:
                while self._execution.deltas:
                    yield self._execution.deltas.popleft()
                if self._execution.is_done:
                    return
                await self._hear()
        finally:
            self.abort()

    def abort(self) -> None:
        """Free the slots of what is not finished, within one step; harmless where all is."""
        if left := self._execution.close():
            self._drop(*left)

    async def _hear(self) -> None:
        """Wait for results, and let the operation go on with them."""
        waiting = self._execution.waiting
        assert waiting, "nothing comes for who has left"
        if not self.inbox:
            if unready := [s for s in waiting if s.is_streamed and not s.is_reader_ready]:
                self._driver.await_more(unready)
            self.waiter = self.loop.create_future()
            try:
                await self.waiter
            finally:
                self.waiter = None
        while self.inbox:
            sequence, found = self.inbox.popleft()
            if isinstance(found, EngineError):
                raise found
            if found.finish_reason and sequence in waiting:
                self._count(sequence)
            self._execution.resume(sequence, found, self._submit, self._drop)

    def _submit(self, requests: Sequence[Request]) -> list[Submitted]:
        submitted = self._driver.submit(self, requests, is_admitted=self._is_admitted)
        for sequence, result in submitted:
            if result is not None:
                self._count(sequence)
        return submitted

    def _drop(self, *sequences: EngineSequence) -> None:
        for sequence in sequences:
            self._count(sequence)
        self._driver.abort(sequences)

    def _count(self, sequence: EngineSequence) -> None:
        """Note what a text has cost, be it done or left."""
        stats = self.caller.stats
        stats.add(sequence.timings, sequence.num_prompt_read, sequence.num_written)


def _post(messages: list[tuple[Running[Any], Message]]) -> None:
    """Put results where they are read, on the event loop."""
    for running, message in messages:
        running.inbox.append(message)
        if running.waiter is not None and not running.waiter.done():
            running.waiter.set_result(None)
