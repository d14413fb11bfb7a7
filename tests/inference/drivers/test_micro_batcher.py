"""Whole texts in batches: answers in order, faults for those whom they concern."""

import asyncio
import threading

import pytest

from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.drivers.micro_batcher import MicroBatcher
from refrain.inference.errors import (
    EngineFailureError,
    EngineStoppedError,
    QueueFullError,
    RequestTooLargeError,
)
from tests.support.fake_runner import LIMIT
from tests.support.token_operations import CountedStats


class Number(int):
    """An item of as many tokens as it counts."""

    def __len__(self) -> int:
        return self


class Numbers(MicroBatcher):
    """A batcher of such items."""

    async def run(self, items, caller=None) -> list:
        return await super().run([*map(Number, items)], caller)


def serve(body, run_batch, **limits) -> None:
    """Run a coroutine against a started batcher, stop it, and look for what is left behind."""

    async def run() -> None:
        faults = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        batcher = Numbers(run_batch, **{"max_batch": 4, "max_queue": 10, **limits})
        batcher.start_thread()
        try:
            await asyncio.wait_for(body(batcher), LIMIT)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        finally:
            await batcher.stop()
        assert not faults

    asyncio.run(run())


class HeldBatch:
    """Answers items with themselves; its first batch waits until it is released."""

    def __init__(self) -> None:
        self.ran: list[list[int]] = []
        self._is_begun, self._may_end = threading.Event(), threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.ran.append(items)
        self._is_begun.set()
        assert self._may_end.wait(LIMIT)
        return items

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._is_begun.wait, LIMIT)

    def release(self) -> None:
        self._may_end.set()


def test_micro_batcher_answers_keep_their_order_and_share_batches() -> None:
    sizes = []

    def square(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return [item * item for item in items]

    async def body(batcher) -> None:
        answers = await asyncio.gather(*(batcher.run([n, n + 1]) for n in range(4)))
        assert answers == [[n * n, (n + 1) ** 2] for n in range(4)]
        assert await batcher.run([]) == []

    serve(body, square)
    assert max(sizes) <= 4
    assert sum(sizes) == 8


def test_what_is_queued_while_a_batch_runs_is_the_next_batch() -> None:
    held = HeldBatch()

    async def body(batcher) -> None:
        tasks = [asyncio.create_task(batcher.run([0]))]
        await held.begun()
        tasks += [asyncio.create_task(batcher.run([n])) for n in range(1, 7)]
        await asyncio.sleep(0)
        assert (batcher.load.num_running, batcher.load.num_waiting) == (1, 6)
        held.release()
        assert await asyncio.gather(*tasks) == [[n] for n in range(7)]

    serve(body, held)
    assert held.ran == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_broken_batch_fails_its_callers_and_not_the_next() -> None:
    def invert(items: list[int]) -> list[float]:
        return [1 / item for item in items]

    async def body(batcher) -> None:
        with pytest.raises(EngineFailureError, match="ZeroDivisionError") as caught:
            await batcher.run([0, 0])
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert await batcher.run([2]) == [0.5]

    serve(body, invert)


def test_a_batch_without_an_answer_for_each_item_fails_its_callers_and_not_the_next() -> None:
    def forget_zeros(items: list[int]) -> list[int]:
        return [item for item in items if item]

    async def body(batcher) -> None:
        with pytest.raises(EngineFailureError):
            await batcher.run([0])
        assert await batcher.run([2]) == [2]

    serve(body, forget_zeros)


def test_a_job_whose_caller_left_is_not_run() -> None:
    held = HeldBatch()

    async def body(batcher) -> None:
        first = asyncio.create_task(batcher.run([1]))
        await held.begun()
        left = asyncio.create_task(batcher.run([2]))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        held.release()
        assert await first == [1]
        assert await batcher.run([3]) == [3]

    serve(body, held, max_batch=1)
    assert held.ran == [[1], [3]]


def test_a_caller_who_leaves_while_his_batch_runs_harms_nobody() -> None:
    held = HeldBatch()

    async def body(batcher) -> None:
        tasks = [asyncio.create_task(batcher.run([n, n])) for n in range(2)]
        await held.begun()
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        held.release()
        assert await tasks[1] == [1, 1]

    serve(body, held)


def test_an_event_loop_that_is_gone_keeps_nobody_else_from_an_answer() -> None:
    held = HeldBatch()
    batcher = Numbers(held, max_batch=4, max_queue=10)
    batcher.start_thread()

    async def leave() -> None:
        task = asyncio.create_task(batcher.run([1]))
        await held.begun()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    held.release()
    assert asyncio.run(batcher.run([2])) == [2]
    asyncio.run(batcher.stop())


def test_a_full_micro_batcher_queue_refuses() -> None:
    async def body(batcher) -> None:
        with pytest.raises(RequestTooLargeError):
            await batcher.run(list(range(11)))
        await batcher.stop()
        with pytest.raises(EngineStoppedError):
            await batcher.run([1])

    serve(body, list)


def test_a_queue_without_room_for_all_of_a_request_refuses_it_and_takes_a_smaller_one() -> None:
    held = HeldBatch()

    async def body(batcher) -> None:
        tasks = [asyncio.create_task(batcher.run([1]))]
        await held.begun()
        tasks.append(asyncio.create_task(batcher.run(list(range(8)))))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher.run([1, 2, 3])
        with pytest.raises(QueueFullError):
            batcher.admit(3)
        batcher.admit(2)
        tasks.append(asyncio.create_task(batcher.run([1, 2])))
        await asyncio.sleep(0)
        held.release()
        assert await asyncio.gather(*tasks) == [[1], list(range(8)), [1, 2]]

    serve(body, held)


def test_stopping_ends_those_who_wait_and_answers_those_whose_batch_runs() -> None:
    held = HeldBatch()

    async def body(batcher) -> None:
        runs = asyncio.create_task(batcher.run([1]))
        await held.begun()
        waits = asyncio.create_task(batcher.run([2]))
        await asyncio.sleep(0)
        stops = asyncio.create_task(batcher.stop())
        await asyncio.sleep(0)
        assert not batcher.is_alive
        held.release()
        assert await runs == [1]
        with pytest.raises(EngineStoppedError):
            await waits
        await stops

    serve(body, held, max_batch=1)
    assert held.ran == [[1]]


def test_a_classifier_counts_texts_and_their_tokens() -> None:
    async def main() -> tuple[MicroBatcher, Caller]:
        caller = Caller(stats=CountedStats())
        batcher = MicroBatcher(list, max_batch=4, max_queue=10)
        batcher.start_thread()
        await batcher.run(["one", "three", "seven"], caller)
        await batcher.stop()
        return batcher, caller

    batcher, caller = asyncio.run(main())
    metrics = batcher.metrics
    assert metrics.num_prompt == caller.stats.num_prompt == len("onethreeseven")
    assert caller.stats.num_texts == 3
    assert caller.stats.num_written == metrics.num_written == 0
    assert metrics.batch_size.sum == 3
    assert sum(metrics.queue_seconds.counts) == 3
    assert (batcher.load.num_running, batcher.load.num_waiting) == (0, 0)


def test_a_text_whose_caller_left_is_counted_as_far_as_it_came() -> None:
    held = HeldBatch()
    caller = Caller(stats=CountedStats())

    async def body(batcher) -> None:
        first = asyncio.create_task(batcher.run([5]))
        await held.begun()
        left = asyncio.create_task(batcher.run([7], caller))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        held.release()
        await first

    serve(body, held, max_batch=1)
    assert (caller.stats.num_texts, caller.stats.num_prompt) == (1, 0)
