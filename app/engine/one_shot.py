"""Batches for models that read a whole text and give one answer: classifiers now, taggers later."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.engine import tally
from app.engine.errors import EngineError, EngineFailureError, QueueFullError, RequestTooLargeError
from app.engine.figures import Course, EngineFigures
from app.engine.thread import EngineThread, Load

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Job(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    num_tokens: int
    course: Course = field(default_factory=Course)


class OneShotEngine(EngineThread, Generic[Item, Result]):
    """A thread that takes whatever is queued, runs it as one batch, and resolves the futures.

    Parameters
    ----------
    run_batch
        Gives one result an item, in order. Where it breaks, the jobs of its batch fail and the engine goes on.
    max_batch, max_queue
        Items that run at once, and items that may wait.
    num_tokens_of
        Gives how many tokens an item has.
    """

    def __init__(
        self,
        run_batch: Callable[[list[Item]], list[Result]],
        *,
        max_batch: int,
        max_queue: int,
        num_tokens_of: Callable[[Item], int],
    ) -> None:
        super().__init__("one-shot")
        self._figures = EngineFigures()
        self._num_tokens_of = num_tokens_of
        self._num_running = 0
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._queue: deque[_Job[Item, Result]] = deque()

    @property
    def figures(self) -> EngineFigures:
        return self._figures

    @property
    def load(self) -> Load:
        return Load(self._num_running, len(self._queue), self._max_batch, self._max_queue)

    async def submit(self, items: list[Item]) -> list[Result]:
        """Run items, all or none, in whatever batches they fall; results in their order."""
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        jobs = [
            _Job[Item, Result](item, loop.create_future(), self._num_tokens_of(item), Course(now))
            for item in items
        ]
        with self._condition:
            self._check_room(len(jobs))
            self._queue.extend(jobs)
            self._wake()
        try:
            return await asyncio.gather(*(job.future for job in jobs))
        finally:
            for job in jobs:
                tally.current().add(job.course, job.course.num_prompt, 0)

    def _check_room(self, num_items: int) -> None:
        self._check_alive()
        if num_items > self._max_queue:
            raise RequestTooLargeError(
                f"{num_items} texts at once; there is room for {self._max_queue}"
            )
        if len(self._queue) + num_items > self._max_queue:
            raise QueueFullError(f"{len(self._queue)} texts wait already; come back later")

    def _serve(self) -> None:
        while jobs := self._take():
            started = time.perf_counter()
            try:
                results = self._run_batch([job.item for job in jobs])
            except Exception as error:
                failure = EngineFailureError(f"a batch broke: {error!r}")
                failure.__cause__ = error
                self._answer([(job, failure) for job in jobs])
            else:
                self._count(jobs, started)
                self._answer(list(zip(jobs, results, strict=True)))

    def _count(self, jobs: list[_Job[Item, Result]], started: float) -> None:
        """Count a batch that has been run."""
        now = time.perf_counter()
        self._figures.count_steps(len(jobs), 1, now - started)
        for job in jobs:
            job.course.num_prompt = job.num_tokens
            self._figures.count_opened(job.course, started)
            self._figures.count_tokens(job.num_tokens, 0, now)

    def _end_all(self, error: EngineError) -> None:
        self._answer([(job, error) for job in self._queue])

    def _take(self) -> list[_Job[Item, Result]]:
        """Wait for jobs; none when it is time to stop."""
        with self._condition:
            while True:
                self._num_running = 0
                self._condition.wait_for(lambda: self._is_stopping or self._queue)
                if self._is_stopping:
                    return []
                jobs = [
                    self._queue.popleft() for _ in range(min(self._max_batch, len(self._queue)))
                ]
                if alive := [job for job in jobs if not job.future.cancelled()]:
                    self._num_running = len(alive)
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
