"""Short requests that are answered on the event loop, and when they may not be."""

import asyncio
import threading
from contextlib import suppress

import pytest

from refrain.inference.drivers.threaded import MAX_AT_ONCE, Running, ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.counters import SIZES
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.metrics import EngineMetrics
from refrain.inference.errors import EngineFailureError, QueueFullError
from refrain.inference.operations.scoring import score_ids
from refrain.models.native.step.sampling import SamplingParams
from tests.support.fake_runner import BREAKING, FakeRunner, Gate
from tests.support.threaded import assert_nothing_is_left, reached, serve, settle
from tests.support.token_operations import predict, write


class WatchedRunner(FakeRunner):
    """Remembers which threads have run it."""

    def __init__(self, **options) -> None:
        super().__init__(is_quick=True, **options)
        self.threads = []

    def run(self, sequences, max_steps) -> int:
        self.threads.append(threading.get_ident())
        return super().run(sequences, max_steps)


def test_a_short_request_is_answered_on_the_event_loop_if_the_engine_is_idle() -> None:
    runner = WatchedRunner(gate=(gate := Gate()))

    async def body(driver: ThreadedDriver) -> None:
        here = threading.get_ident()

        async def is_answered_here(operation) -> bool:
            runner.threads.clear()
            await driver.run(operation)
            return set(runner.threads) == {here}

        await driver.run(score_ids([2] * 100))
        short = [2] * (MAX_AT_ONCE - 1)
        while not await is_answered_here(predict(short)):
            pass  # the thread has sent its result, and is about to fall asleep
        assert await is_answered_here(score_ids(short))
        assert not await is_answered_here(predict([*short, 3]))
        long = asyncio.create_task(driver.run(score_ids([2, gate.token_id, *[2] * 10_000])))
        await reached(gate)
        gate.open()
        assert not await is_answered_here(predict([2]))
        await long

    serve(body, Engine(runner, EngineConfig()))


@pytest.mark.parametrize("leaves", [False, True])
def test_a_short_request_waits_for_those_that_the_thread_has_not_begun_yet(leaves) -> None:
    async def body(driver: ThreadedDriver) -> None:
        alone = await driver.run(predict([5]))
        long = Running(driver, score_ids([2] * 100))
        short = Running(driver, predict([5]))
        if leaves:
            long.abort()
        assert (await short.answer()).log_probs.tobytes() == alone.log_probs.tobytes()
        if not leaves:
            assert len((await long.answer()).logprobs) == 100
        await settle(driver)
        assert_nothing_is_left(driver)

    serve(body, is_quick=True)


def test_short_requests_that_come_together_are_run_together() -> None:
    runner = WatchedRunner()
    engine = Engine(runner, EngineConfig())

    async def body(driver: ThreadedDriver) -> None:
        await asyncio.gather(*(driver.run(predict([2, 3])) for _ in range(5)))
        assert threading.get_ident() not in runner.threads
        assert max(size for size, count in sizes() if count) > 1

    def sizes() -> zip:
        return zip((*SIZES, 0), engine.metrics.batch_size.counts, strict=True)

    serve(body, engine)


@pytest.mark.parametrize("count", [1, 4])
def test_what_a_loop_has_left_that_died_keeps_nobody_else_from_an_answer(count) -> None:
    engine = Engine(WatchedRunner(), EngineConfig(max_slots=2, max_queue=2))

    async def ask_and_die(driver: ThreadedDriver) -> None:
        for _ in range(count):
            Running(driver, predict([5]))
        raise SystemExit

    def die(driver: ThreadedDriver) -> None:
        loop = asyncio.new_event_loop()
        with pytest.raises(SystemExit):
            loop.run_until_complete(ask_and_die(driver))
        loop.close()

    async def body(driver: ThreadedDriver) -> None:
        await asyncio.to_thread(die, driver)
        for _ in range(1_000):
            with suppress(QueueFullError):
                await driver.run(predict([2]))
                break
            await asyncio.sleep(0.001)
        await driver.run(score_ids([2] * 20))
        assert_nothing_is_left(driver)

    serve(body, engine)


def test_a_stream_of_a_loop_that_has_closed_is_removed() -> None:
    driver = ThreadedDriver(Engine(WatchedRunner(), EngineConfig()), 100)

    async def write_and_die() -> None:
        Running(driver, write([2], SamplingParams(max_tokens=10**6, ignore_eos=True)))
        raise SystemExit

    async def ask() -> None:
        driver.start_thread()
        for _ in range(1_000):
            await driver.run(score_ids([2] * 20))
            if not driver._open:
                break
        assert_nothing_is_left(driver)
        await driver.stop()

    loop = asyncio.new_event_loop()
    with pytest.raises(SystemExit):
        loop.run_until_complete(write_and_die())
    loop.close()
    asyncio.run(ask())


class HeldMetrics(EngineMetrics):
    """Metrics that keep a step from its end, once."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def count_sent(self, messages, now: float) -> None:
        self._gate.hold()
        super().count_sent(messages, now)


def test_a_short_request_is_not_answered_on_the_event_loop_before_a_step_has_ended() -> None:
    runner, gate = WatchedRunner(), Gate()
    engine = Engine(runner, EngineConfig())
    engine.metrics = HeldMetrics(gate)

    async def body(driver: ThreadedDriver) -> None:
        first = asyncio.create_task(driver.run(score_ids([2] * 20)))
        await reached(gate)
        assert not engine.scheduler.num_taken
        second = asyncio.create_task(driver.run(predict([2])))
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(first, second)
        assert threading.get_ident() not in runner.threads

    serve(body, engine)


def test_a_fault_on_the_event_loop_is_one_of_the_engine() -> None:
    async def body(driver: ThreadedDriver) -> None:
        await driver.run(score_ids([2] * 20))
        with pytest.raises(EngineFailureError, match="token 29"):
            await driver.run(predict([BREAKING]))
        assert not driver.is_alive
        with pytest.raises(EngineFailureError, match="token 29"):
            await driver.run(score_ids([2] * 20))

    serve(body, is_quick=True, breaks_on=BREAKING)
