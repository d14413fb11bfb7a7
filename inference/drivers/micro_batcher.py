"""Batches for models that read a whole text and give one answer: classifiers now, taggers later."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from refrain.inference.drivers.engine_thread import Caller, EngineThread, Load
from refrain.inference.engine.metrics import EngineMetrics, Timings
from refrain.inference.errors import (
    EngineError,
    EngineFailureError,
    QueueFullError,
    RequestTooLargeError,
)

Item = TypeVar("Item", bound=Sized)
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Job(Generic[Item, Answer]):
    item: Item
    future: asyncio.Future[Answer]
    timings: Timings


class MicroBatcher(EngineThread, Generic[Item, Answer]):
    """A thread that takes whatever is queued, runs it as one batch, and resolves the futures.

    An item is as long as it has tokens.

    Parameters
    ----------
    run_batch
        Returns one answer an item, in order. Where it breaks, the jobs of its batch fail and the thread goes on.
    max_batch, max_queue
        Items that run at once, and items that may wait.
    """

    def __init__(
        self, run_batch: Callable[[list[Item]], list[Answer]], *, max_batch: int, max_queue: int
    ) -> None:
        super().__init__("micro-batcher")
        self.metrics = EngineMetrics()
        self._num_running = 0
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._queue: deque[_Job[Item, Answer]] = deque()

    @property
    def load(self) -> Load:
        return Load(self._num_running, len(self._queue), self._max_batch, self._max_queue)

    async def run(self, items: Sequence[Item], caller: Caller | None = None) -> list[Answer]:
        """Run items, all or none, in whatever batches they fall; answers in their order."""
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        jobs = [_Job[Item, Answer](each, loop.create_future(), Timings(now)) for each in items]
        with self._condition:
            self.admit(len(jobs))
            self._queue.extend(jobs)
            self._condition.notify()
        try:
            return await asyncio.gather(*(job.future for job in jobs))
        finally:
            if caller:
                for job in jobs:
                    caller.stats.add(job.timings, job.timings.num_prompt, 0)

    def admit(self, num_slots: int) -> None:
        num_waiting, room = len(self._queue), self._max_queue
        if self._refusal:
            raise self._refusal.with_traceback(None)
        if num_slots > room:
            raise RequestTooLargeError(f"{num_slots} texts at once; there is room for {room}")
        if num_waiting + num_slots > room:
            raise QueueFullError(f"{num_waiting} texts wait already; come back later")

    def _serve(self) -> None:
        while jobs := self._take():
            started = time.perf_counter()
            try:
                answers = self._run_batch([job.item for job in jobs])
                answered = list(zip(jobs, answers, strict=True))
            except Exception as error:
                failure = EngineFailureError.of(error, "a batch")
                self._deliver([(job, failure) for job in jobs])
            else:
                self._count(jobs, started)
                self._deliver(answered)

    def _count(self, jobs: list[_Job[Item, Answer]], started: float) -> None:
        """Count a batch that has been run."""
        now = time.perf_counter()
        self.metrics.count_steps(len(jobs), 1, now - started)
        for job in jobs:
            job.timings.num_prompt = len(job.item)
            job.timings.opened = started
            self.metrics.queue_seconds.count(started - job.timings.entered)
            self.metrics.count_tokens(len(job.item), 0, now)

    def _end_all(self, error: EngineError) -> None:
        self._deliver([(job, error) for job in self._queue])

    def _take(self) -> list[_Job[Item, Answer]]:
        """Wait for jobs; none when it is time to stop."""
        with self._condition:
            while True:
                self._num_running = 0
                self._condition.wait_for(lambda: self._refusal or self._queue)
                if self._refusal:
                    return []
                num_jobs = min(self._max_batch, len(self._queue))
                jobs = [self._queue.popleft() for _ in range(num_jobs)]
                if alive := [job for job in jobs if not job.future.cancelled()]:
                    self._num_running = len(alive)
                    return alive

    @staticmethod
    def _deliver(answers: Sequence[tuple[_Job[Item, Answer], Answer | EngineError]]) -> None:
        for job, answer in answers:
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                job.future.get_loop().call_soon_threadsafe(_resolve, job.future, answer)


def _resolve(future: asyncio.Future[Answer], answer: Answer | EngineError) -> None:
    if future.done():
        return
    if isinstance(answer, EngineError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
