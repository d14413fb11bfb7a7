"""Batches for models that read a whole text and give one answer: classifiers now, taggers later."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.engine.errors import EngineError, EngineFailureError, EngineStoppedError, QueueFullError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Job(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]


class OneShotEngine(Generic[Item, Result]):
    """A thread that takes whatever is queued, runs it as one batch, and resolves the futures.

    Parameters
    ----------
    run_batch
        Gives one result an item, in order.
    max_batch, max_queue
        Items that run at once, and items that may wait.
    """

    def __init__(
        self, run_batch: Callable[[list[Item]], list[Result]], *, max_batch: int, max_queue: int
    ) -> None:
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._queue: deque[_Job[Item, Result]] = deque()
        self._condition = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="one-shot", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    async def stop(self) -> None:
        """End everything that waits with EngineStoppedError, and the thread."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    @property
    def is_alive(self) -> bool:
        """Whether it serves: started and not stopped."""
        return self._thread.is_alive() and not self._is_stopping

    def admit(self, num_items: int) -> None:
        """Check that there is room before any work is done for a request.

        Raises
        ------
        QueueFullError
            If the queue has no room for so many.
        EngineStoppedError
            If the engine has stopped.
        """
        with self._condition:
            self._check_room(num_items)

    async def submit(self, items: list[Item]) -> list[Result]:
        """Run items, all or none, in whatever batches they fall; results in their order."""
        loop = asyncio.get_running_loop()
        jobs = [_Job[Item, Result](item, loop.create_future()) for item in items]
        with self._condition:
            self._check_room(len(jobs))
            self._queue.extend(jobs)
            self._condition.notify()
        return await asyncio.gather(*(job.future for job in jobs))

    def _check_room(self, num_items: int) -> None:
        if self._is_stopping:
            raise EngineStoppedError("the engine has stopped; it serves no new text")
        if len(self._queue) + num_items > self._max_queue:
            raise QueueFullError(f"{len(self._queue)} texts wait already; come back later")

    def _run(self) -> None:
        while jobs := self._take():
            try:
                results = self._run_batch([job.item for job in jobs])
            except Exception as error:
                failure = EngineFailureError(f"a batch broke: {error!r}")
                failure.__cause__ = error
                self._answer([(job, failure) for job in jobs])
            else:
                self._answer(list(zip(jobs, results, strict=True)))
        stopped = EngineStoppedError("the engine was stopped")
        self._answer([(job, stopped) for job in self._queue])

    def _take(self) -> list[_Job[Item, Result]]:
        """Wait for jobs; none when it is time to stop."""
        with self._condition:
            while True:
                self._condition.wait_for(lambda: self._is_stopping or self._queue)
                if self._is_stopping:
                    return []
                jobs = [
                    self._queue.popleft() for _ in range(min(self._max_batch, len(self._queue)))
                ]
                if alive := [job for job in jobs if not job.future.cancelled()]:
                    return alive

    @staticmethod
    def _answer(answers: list[tuple[_Job[Item, Result], Result | EngineError]]) -> None:
        for job, answer in answers:
            loop = job.future.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, job.future, answer)


def _resolve(future: asyncio.Future[Result], answer: Result | EngineError) -> None:
    if future.done():
        return
    if isinstance(answer, EngineError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
