"""Operations on an engine that has no thread of its own: whoever waits for an answer advances everybody's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from inference.drivers.execution import Execution, Submitted
from inference.engine.engine import Engine
from inference.engine.request import Request, Result
from inference.engine.sequence import Sequence as EngineSequence
from inference.errors import EngineError, EngineFailureError
from inference.operation import Delta, Operation

R = TypeVar("R")

MAX_AHEAD = 4_096
"""Operations that may be begun beyond the oldest one that has no answer yet."""
SPARE = 16
"""Texts that wait when every slot is taken, so that a free slot is filled before the next step."""


class BlockingDriver:
    """Runs operations in the thread that waits for them.

    Several threads may ask at once, and who is given answers one by one may ask something else meanwhile. So may what
    is called in between, the iterator of the operations and the operations themselves: the lock is held only where the
    engine is touched, so that none of them keeps another thread waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._inboxes: dict[EngineSequence, _Asked] = {}
        self._left: deque[EngineSequence] = deque()

    @property
    def engine(self) -> Engine:
        """The engine, whose metrics and load may be read."""
        return self._engine

    def run(self, operation: Operation[R]) -> R:
        """Run one operation to its answer."""
        return next(self.run_all([operation]))

    def run_all(
        self, operations: Iterable[Operation[R]], may_take: Callable[[], bool] = lambda: True
    ) -> Iterator[R]:
        """Run operations side by side; yield the answers in order, each as soon as it is its turn.

        Operations are taken from their iterator only when there is room. `may_take` tells whether the caller has room
        too; it must have where everything that it gave has been answered.
        """
        asked = _Answers(self, operations, may_take)
        try:
            while not asked.is_over:
                asked.hear()
                asked.take()
                self._step(asked)
                yield from asked.answers()
        finally:
            asked.close()

    def stream(self, operation: Operation[R]) -> Generator[Delta, None, R]:
        """Run one operation; yield each piece of text as it is written, and return the answer."""
        asked = _Asked(self)
        execution = Execution(operation)
        try:
            asked.start(execution)
            while True:
                while execution.deltas:
                    yield execution.deltas.popleft()
                if execution.is_done:
                    return execution.answer
                self._step(asked)
                asked.hear()
        finally:
            asked.close()

    def submit(
        self, asked: _Asked, requests: Sequence[Request], *, is_admitted: bool
    ) -> list[Submitted]:
        """Queue requests for who asked."""
        with self._lock:
            self._free_left()
            sequences = self._engine.add(requests, is_admitted=is_admitted)
            self._inboxes.update(dict.fromkeys(sequences, asked))
        return [Submitted(sequence) for sequence in sequences]

    def remove(self, sequences: Iterable[EngineSequence]) -> None:
        """Free what nobody waits for any more: now, or before the next step if one is under way.

        It never waits for the lock: the collector may close a forgotten stream in the thread that holds it.
        """
        self._left += sequences
        if self._lock.acquire(blocking=False):
            try:
                self._free_left()
            finally:
                self._lock.release()

    def forget(self, sequence: EngineSequence) -> None:
        """Expect nothing more of a sequence that has ended."""
        self._inboxes.pop(sequence, None)

    def has_room(self) -> bool:
        """Return whether one more text would soon get a slot."""
        return self._engine.scheduler.num_taken < self._engine.num_slots + SPARE

    def _step(self, asked: _Asked) -> None:
        """Advance everybody, unless who waits has something to do first."""
        with self._lock:
            self._free_left()
            if asked.has_work or not self._engine.scheduler.num_taken:
                return
            try:
                self._engine.admit()
                found = self._engine.step()
            except BaseException as error:
                self._end_all(error)
                raise
            for sequence, result in found:
                if (whose := self._inboxes.get(sequence)) is not None:
                    whose.inbox.append((sequence, result))

    def _free_left(self) -> None:
        """Remove what its callers have left; called with the lock."""
        while self._left:
            sequence = self._left.popleft()
            if self._inboxes.pop(sequence, None) is not None:
                self._engine.remove(sequence)

    def _end_all(self, error: BaseException) -> None:
        """Remove everything after a step that broke: what it had found out is lost, and nobody may wait for that."""
        failure = EngineFailureError(f"a step of the engine broke: {error!r}")
        failure.__cause__ = error
        for sequence, asked in list(self._inboxes.items()):
            self._engine.remove(sequence)
            asked.inbox.append((sequence, failure))
        self._inboxes.clear()


class _Asked:
    """What one caller has under way."""

    def __init__(self, driver: BlockingDriver) -> None:
        self.inbox: deque[tuple[EngineSequence, Result | EngineError]] = deque()
        self._driver = driver
        self._open: dict[EngineSequence, Execution[Any]] = {}

    @property
    def has_work(self) -> bool:
        """Whether there is something to do before the next step."""
        return bool(self.inbox)

    def start(self, execution: Execution[R]) -> None:
        """Begin an operation."""
        execution.start(lambda requests: self._submit(execution, requests, is_admitted=False))

    def hear(self) -> None:
        """Let operations go on with what was found out for them."""
        while self.inbox:
            sequence, result = self.inbox.popleft()
            if isinstance(result, EngineError):
                raise result
            if (execution := self._open.get(sequence)) is not None:
                self._resume(execution, sequence, result)

    def close(self) -> None:
        """Free what is still under way."""
        self._driver.remove(self._open)
        for execution in set(self._open.values()):
            execution.close()
        self._open.clear()

    def _resume(self, execution: Execution[Any], sequence: EngineSequence, result: Result) -> None:
        execution.resume(
            sequence,
            result,
            lambda requests: self._submit(execution, requests, is_admitted=True),
            lambda heard: self._driver.remove([heard]),
        )
        if sequence not in execution.waiting:
            del self._open[sequence]
            self._driver.forget(sequence)

    def _submit(
        self, execution: Execution[R], requests: Sequence[Request], *, is_admitted: bool
    ) -> list[Submitted]:
        submitted = self._driver.submit(self, requests, is_admitted=is_admitted)
        self._open.update(dict.fromkeys((each.sequence for each in submitted), execution))
        return submitted


class _Answers(_Asked, Generic[R]):
    """Operations that are answered in order."""

    def __init__(
        self,
        driver: BlockingDriver,
        operations: Iterable[Operation[R]],
        may_take: Callable[[], bool],
    ) -> None:
        super().__init__(driver)
        self._operations = iter(operations)
        self._may_take = may_take
        self._is_exhausted = False
        self._unanswered: deque[Execution[R]] = deque()

    @property
    def is_over(self) -> bool:
        """Whether everything has been answered."""
        return self._is_exhausted and not self._unanswered

    @property
    def has_work(self) -> bool:
        """Whether there is something to do before the next step."""
        is_next_done = bool(self._unanswered) and self._unanswered[0].is_done
        return bool(self.inbox) or is_next_done

    def take(self) -> None:
        """Begin as many operations as fill the slots."""
        while not self._is_exhausted and self._driver.has_room():
            if len(self._unanswered) >= MAX_AHEAD or not self._may_take():
                return
            operation = next(self._operations, None)
            if operation is None:
                self._is_exhausted = True
                return
            execution = Execution(operation)
            self._unanswered.append(execution)
            self.start(execution)

    def answers(self) -> Iterator[R]:
        """Yield the answers whose turn it is."""
        while self._unanswered and self._unanswered[0].is_done:
            yield self._unanswered.popleft().answer
