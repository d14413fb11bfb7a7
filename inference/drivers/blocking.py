"""Operations on an engine that has no thread of its own: whoever waits for an answer advances everybody's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from refrain.inference.drivers.execution import Execution, Message
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request
from refrain.inference.engine.sequence import Sequence as EngineSequence
from refrain.inference.errors import EngineError, EngineFailureError
from refrain.inference.operation import Delta, Operation

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
        self.engine = engine
        self._lock = threading.Lock()
        self._open: dict[EngineSequence, Execution[Any]] = {}
        self._aborted: deque[EngineSequence] = deque()

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
        scheduler, room = self.engine.scheduler, self.engine.num_slots + SPARE
        inbox: deque[Message] = deque()
        new: Iterator[Execution[R]] | None = (Execution(self, each, inbox) for each in operations)
        begun: deque[Execution[R]] = deque()
        try:
            while new or begun:
                while new and scheduler.num_taken < room and len(begun) < MAX_AHEAD and may_take():
                    if execution := next(new, None):
                        begun.append(execution)
                    else:
                        new = None
                if begun and begun[0].is_done:
                    yield begun.popleft().returned
                else:
                    self._hear(inbox)
        finally:
            for execution in begun:
                execution.abort()

    def stream(self, operation: Operation[R]) -> Generator[Delta, None, R]:
        """Run one operation; yield each piece of text as it is written, and return the answer."""
        execution = Execution[R](self, operation)
        try:
            while True:
                while execution.pieces:
                    yield execution.pieces.popleft()
                if execution.is_done:
                    return execution.returned
                self._hear(execution.inbox)
        finally:
            execution.abort()

    def submit(
        self, execution: Execution[Any], requests: Sequence[Request]
    ) -> list[EngineSequence]:
        sequences = [self.engine.sequence(request) for request in requests]
        with self._lock:
            self._free_aborted()
            self.engine.add(sequences, is_admitted=execution.is_admitted)
            self._open.update(dict.fromkeys(sequences, execution))
        return sequences

    def abort(self, sequences: Iterable[EngineSequence]) -> None:
        """Free what nobody waits for any more: now, or before the next step if one is under way.

        It never waits for the lock: the collector may close a forgotten stream in the thread that holds it.
        """
        self._aborted += sequences
        if self._lock.acquire(blocking=False):
            try:
                self._free_aborted()
            finally:
                self._lock.release()

    def _hear(self, inbox: deque[Message]) -> None:
        """Resume operations with what was found out for them; if nothing was, advance everybody first."""
        self._step(inbox)
        while inbox:
            sequence, found = inbox.popleft()
            if isinstance(found, EngineError):
                raise found
            is_last = found.finish_reason is not None
            execution = self._open.pop(sequence, None) if is_last else self._open.get(sequence)
            if execution is not None:
                execution.resume(sequence, found)

    def _step(self, inbox: deque[Message]) -> None:
        """Advance everybody, unless another thread has brought what is waited for."""
        with self._lock:
            self._free_aborted()
            if inbox or not self.engine.scheduler.num_taken:
                return
            try:
                self.engine.admit()
                results = self.engine.step()
            except BaseException as error:
                self._end_all(error)
                raise
            for sequence, result in results:
                if (execution := self._open.get(sequence)) is not None:
                    execution.inbox.append((sequence, result))

    def _free_aborted(self) -> None:
        """Remove what its callers have left; called with the lock."""
        while self._aborted:
            sequence = self._aborted.popleft()
            if self._open.pop(sequence, None) is not None:
                self.engine.remove(sequence)

    def _end_all(self, error: BaseException) -> None:
        """Remove everything after a step that broke: what it had found out is lost, and nobody may wait for that."""
        failure = EngineFailureError.of(error)
        for sequence, execution in list(self._open.items()):
            self.engine.remove(sequence)
            execution.inbox.append((sequence, failure))
        self._open.clear()
