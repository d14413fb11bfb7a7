"""An engine on a thread of its own: operations arrive, leave, fail and stop."""

import asyncio
import gc
import threading
import weakref
from contextlib import aclosing

import pytest

from inference.drivers.engine_thread import Caller
from inference.drivers.threaded import MAX_AT_ONCE, ThreadedDriver
from inference.engine.config import EngineConfig
from inference.engine.engine import Engine
from inference.engine.metrics import EngineMetrics
from inference.engine.request import BeamParams, Request, TextState, Written
from inference.engine.sequence import MAX_UNSENT
from inference.errors import (
    EngineFailureError,
    EngineStoppedError,
    QueueFullError,
    RequestTooLargeError,
)
from inference.operation import gather
from inference.operations.scoring import score_ids
from models.errors import InvalidParameterError, StateError
from models.native.sampling import SamplingParams
from models.native.structures import Purpose
from tests.support.engines import engine_of, recurrent
from tests.support.fake_runner import BREAKING, LIMIT, VOCAB_SIZE, FakeRunner, Gate, fake_engine
from tests.support.token_operations import (
    ENDLESS,
    CountedStats,
    ids_of,
    predict,
    up_to,
    write,
)


def serve(body, engine: Engine | None = None, *, config=None, **options) -> None:
    """Run a coroutine against a started driver; stop the driver, and look for what is left behind.

    Parameters
    ----------
    engine
        Served instead of one whose runner is a fake one, of these options.
    """

    async def run() -> None:
        faults = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        limits = config or EngineConfig()
        driver = ThreadedDriver(engine or fake_engine(limits, **options), limits.max_queue)
        driver.start_thread()
        try:
            await asyncio.wait_for(body(driver), LIMIT)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        finally:
            await driver.stop()
        assert not faults

    asyncio.run(run())


async def reached(gate: Gate) -> None:
    """Wait until a step waits at a gate."""
    assert await asyncio.to_thread(gate.is_reached.wait, LIMIT)


async def settle(driver: ThreadedDriver) -> None:
    """Wait until the thread has heard of all who have left."""
    await driver.run(predict([2]))


def assert_nothing_is_left(driver: ThreadedDriver) -> None:
    scheduler = driver.engine.scheduler
    assert (driver.load.num_running, driver.load.num_waiting, scheduler.num_taken) == (0, 0, 0)
    assert sorted(driver.engine.free_slots) == list(range(driver.engine.num_slots))
    assert not driver._open


@pytest.mark.parametrize("runner", ["fake", "int8"])
def test_many_callers_get_what_each_would_get_alone(runner) -> None:
    async def body(driver: ThreadedDriver) -> None:
        params = [SamplingParams(seed=n, max_tokens=9, ignore_eos=True) for n in range(20)]
        alone = [await driver.run(write([2 + n], params[n])) for n in range(20)]
        operations = [write([2 + n], params[n], is_streamed=n % 2 == 0) for n in range(20)]
        assert await asyncio.gather(*map(driver.run, operations)) == alone
        side_by_side = gather(write([2 + n], params[n]) for n in range(20))
        assert await driver.run(side_by_side) == alone
        assert driver.is_alive
        assert_nothing_is_left(driver)

    config = EngineConfig(max_slots=6)
    engine = engine_of(recurrent(), "int8", config) if runner == "int8" else None
    serve(body, engine, config=config)


def test_a_stream_is_the_whole_text_in_pieces_and_ends_with_its_answer() -> None:
    async def body(driver: ThreadedDriver) -> None:
        whole = await driver.run(write([2], up_to(40), is_streamed=False))
        running = driver.start(gather(write([2], up_to(40), index=n) for n in range(3)))
        heard = [delta async for delta in running.deltas()]
        for index in range(3):
            assert ids_of(delta for delta in heard if delta.index == index) == whole
        assert await running.answer() == [whole] * 3

    serve(body)


def test_a_stream_has_its_first_token_as_soon_as_that_is_written() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = driver.start(gather(write([3], ENDLESS, index=n) for n in range(3))).deltas()
        first = [await anext(deltas) for _ in range(3)]
        assert [(delta.index, len(ids_of([delta]))) for delta in first] == [(0, 1), (1, 1), (2, 1)]
        await deltas.aclose()

    serve(body)


def test_a_caller_who_leaves_frees_the_slot() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = driver.start(write([2], ENDLESS)).deltas()
        await anext(deltas)
        await deltas.aclose()
        assert len(await driver.run(write([3], SamplingParams(seed=1, max_tokens=3)))) <= 3
        assert driver.load.num_running == 0

    serve(body, config=EngineConfig(max_slots=1))


def test_a_cancelled_score_frees_the_slot() -> None:
    async def body(driver: ThreadedDriver) -> None:
        task = asyncio.create_task(driver.run(score_ids([2] * 1_000_000)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await driver.run(predict([2]))).log_probs.shape == (30,)
        assert driver.load.num_running == 0

    serve(body, config=EngineConfig(max_slots=1))


async def before_anything_is_read(driver: ThreadedDriver, _: Gate) -> None:
    driver.start(write([3], ENDLESS)).abort()


async def from_a_stream_that_was_never_read(driver: ThreadedDriver, _: Gate) -> None:
    running = driver.start(write([3], ENDLESS))
    await running.deltas().aclose()
    running.abort()
    running.abort()


async def while_the_prompt_is_read(driver: ThreadedDriver, gate: Gate) -> None:
    task = asyncio.create_task(driver.run(write([gate.token_id, 3], ENDLESS)))
    await reached(gate)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def while_it_waits_for_a_slot(driver: ThreadedDriver, gate: Gate) -> None:
    first = driver.start(gather(write([gate.token_id], ENDLESS) for _ in range(2)))
    await reached(gate)
    second = asyncio.create_task(driver.run(write([3], ENDLESS)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.open()
    first.abort()


async def between_two_pieces(driver: ThreadedDriver, _: Gate) -> None:
    async with aclosing(driver.start(write([3], ENDLESS)).deltas()) as deltas:
        async for _delta in deltas:
            break


async def while_it_waits_for_a_piece(driver: ThreadedDriver, gate: Gate) -> None:
    deltas = driver.start(gather([write([3], up_to(1)), score_ids([gate.token_id, 4])])).deltas()
    await reached(gate)
    gate.open()
    await anext(deltas)
    waits = asyncio.create_task(anext(deltas))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


async def with_one_of_several_parts_done(driver: ThreadedDriver, _: Gate) -> None:
    running = driver.start(gather([write([3], up_to(1)), write([4], ENDLESS), predict([5])]))
    async with aclosing(running.deltas()) as deltas:
        async for delta in deltas:
            if delta.finish_reason:
                break


async def in_what_follows(driver: ThreadedDriver, gate: Gate) -> None:
    def go_on():
        yield from predict([3])
        return (yield from gather(predict([gate.token_id]) for _ in range(3)))

    task = asyncio.create_task(driver.run(go_on()))
    await reached(gate)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def from_a_search(driver: ThreadedDriver, gate: Gate) -> None:
    def search():
        yield Request(
            Purpose.BRANCH, [gate.token_id], sampling=up_to(9), beams=BeamParams(num_beams=2)
        )

    task = asyncio.create_task(driver.run(search()))
    await reached(gate)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "leave",
    [
        before_anything_is_read,
        from_a_stream_that_was_never_read,
        while_the_prompt_is_read,
        while_it_waits_for_a_slot,
        between_two_pieces,
        while_it_waits_for_a_piece,
        with_one_of_several_parts_done,
        in_what_follows,
        from_a_search,
    ],
)
def test_whoever_leaves_at_any_point_leaves_no_slot_taken_and_no_task_behind(leave) -> None:
    gate = Gate()

    async def body(driver: ThreadedDriver) -> None:
        before = asyncio.all_tasks()
        await leave(driver, gate)
        gate.open()
        assert asyncio.all_tasks() == before
        await settle(driver)
        assert_nothing_is_left(driver)

    serve(body, config=EngineConfig(max_slots=2), gate=gate)


def test_an_operation_that_has_heard_enough_frees_the_slot_before_it_goes_on() -> None:
    def stop_early():
        written = yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)
        assert isinstance(written, Written)
        return (yield from predict([3]))

    async def body(driver: ThreadedDriver) -> None:
        assert (await driver.run(stop_early())).log_probs.shape == (30,)
        assert_nothing_is_left(driver)

    serve(body, config=EngineConfig(max_slots=1))


def test_an_operation_that_breaks_ends_the_rest_and_frees_the_slots() -> None:
    def broken():
        yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)
        raise ValueError("broken")

    async def body(driver: ThreadedDriver) -> None:
        with pytest.raises(ValueError, match="broken"):
            await driver.run(gather([write([3], ENDLESS), broken(), score_ids([4] * 10**6)]))
        await settle(driver)
        assert_nothing_is_left(driver)

    serve(body)


def test_a_broken_step_ends_every_open_stream_and_refuses_new_ones() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = driver.start(write([2], ENDLESS)).deltas()
        await anext(deltas)
        with pytest.raises(EngineFailureError, match="token 29"):
            await driver.run(predict([BREAKING]))
        with pytest.raises(EngineFailureError, match="token 29"):
            async for _ in deltas:
                pass
        with pytest.raises(EngineFailureError, match="token 29"):
            driver.admit(1)
        with pytest.raises(EngineFailureError, match="token 29"):
            await driver.run(predict([3]))
        assert not driver.is_alive
        assert not driver._open

    serve(body, breaks_on=BREAKING)


def test_the_cause_of_a_fault_comes_with_it_to_each_who_waits() -> None:
    gate = Gate()

    async def body(driver: ThreadedDriver) -> None:
        waiting = [
            asyncio.create_task(driver.run(score_ids([gate.token_id, *[2] * 99]))) for _ in range(3)
        ]
        await reached(gate)
        waiting.append(asyncio.create_task(driver.run(gather([predict([BREAKING]), predict([2])]))))
        await asyncio.sleep(0)
        gate.open()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in found} == {EngineFailureError}
        assert {str(each.__cause__) for each in found} == {"token 29 breaks a step"}

    serve(body, breaks_on=BREAKING, gate=gate)


def test_stopping_ends_every_open_stream() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = driver.start(write([2], ENDLESS)).deltas()
        await anext(deltas)
        await driver.stop()
        with pytest.raises(EngineStoppedError):
            async for _ in deltas:
                pass
        with pytest.raises(EngineStoppedError):
            await driver.run(predict([2]))

    serve(body)


def test_stopping_ends_those_who_wait_for_a_slot_too() -> None:
    async def body(driver: ThreadedDriver) -> None:
        tasks = [asyncio.create_task(driver.run(write([2], ENDLESS))) for _ in range(3)]
        await asyncio.sleep(0)
        await driver.stop()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in found] == [EngineStoppedError] * 3

    serve(body, config=EngineConfig(max_slots=1))


def test_a_full_queue_refuses_the_whole_request() -> None:
    async def body(driver: ThreadedDriver) -> None:
        running = driver.start(gather(write([2], ENDLESS) for _ in range(2)))
        with pytest.raises(QueueFullError):
            driver.start(gather(write([2], ENDLESS) for _ in range(2)))
        with pytest.raises(QueueFullError):
            driver.admit(2)
        driver.admit(1)
        with pytest.raises(RequestTooLargeError):
            driver.admit(4)
        assert driver.engine.scheduler.num_taken == 2
        running.abort()

    serve(body, config=EngineConfig(max_slots=1, max_queue=2))


def test_what_has_begun_is_not_refused_half_way_for_a_full_queue() -> None:
    first, second = Gate(), Gate(token_id=8)

    def go_on():
        found = yield from score_ids([3, first.token_id, 3])
        both = yield from gather(score_ids([4, second.token_id, 5]) for _ in range(5))
        return len(found.logprobs) + sum(len(each.logprobs) for each in both)

    async def body(driver: ThreadedDriver) -> None:
        task = asyncio.create_task(driver.start(go_on()).answer())
        other = driver.start(score_ids([2] * 5))
        for gate in (first, second):
            await reached(gate)
            with pytest.raises(QueueFullError):
                driver.start(predict([6]))
            gate.open()
        assert await task == 3 + 5 * 3
        assert len((await other.answer()).logprobs) == 5
        await driver.run(predict([6]))  # there is room again

    serve(
        body,
        Engine(TwoGates(first, second), config := EngineConfig(max_slots=1, max_queue=1)),
        config=config,
    )


class TwoGates(FakeRunner):
    """Waits at one token, and then at another."""

    def __init__(self, first: Gate, second: Gate) -> None:
        super().__init__()
        self._gates = (first, second)

    def run(self, sequences, max_steps) -> int:
        unread = {token_id for sequence in sequences for token_id in sequence.native.unread}
        for gate in self._gates:
            if gate.token_id in unread:
                gate.hold()
        return super().run(sequences, max_steps)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request(Purpose.SCORE, [3, VOCAB_SIZE]), InvalidParameterError),
        (Request(Purpose.SCORE, [3], start=TextState(b"short", 4, (2,))), StateError),
        (
            Request(Purpose.BRANCH, [3], sampling=up_to(2), beams=BeamParams(4)),
            RequestTooLargeError,
        ),
    ],
)
@pytest.mark.parametrize("is_quick", [False, True])
def test_what_the_engine_refuses_is_refused_before_anything_runs(request_, error, is_quick) -> None:
    def ask():
        return (yield request_)

    async def body(driver: ThreadedDriver) -> None:
        with pytest.raises(error):
            driver.start(gather([predict([2]), ask()]))
        await settle(driver)
        with pytest.raises(error):
            driver.start(ask())
        assert_nothing_is_left(driver)
        await settle(driver)

    serve(body, config=EngineConfig(max_slots=3), is_quick=is_quick)


def test_a_stream_is_a_few_tokens_ahead_of_its_reader_and_the_others_are_served() -> None:
    async def body(driver: ThreadedDriver) -> None:
        whole = await driver.run(write([2], up_to(300), is_streamed=False))
        deltas = driver.start(write([2], ENDLESS)).deltas()
        heard = [await anext(deltas)]
        (stream,) = driver.engine.scheduler.running
        found = []
        for _ in range(5):
            await driver.run(write([3], up_to(200)))
            found.append(stream.num_unsent)
        assert MAX_UNSENT <= found[0] < 2 * MAX_UNSENT
        assert found == found[:1] * 5  # it waits for its reader
        while len(ids_of(heard)) < 300:
            heard.append(await anext(deltas))
        assert ids_of(heard)[:300] == whole
        await deltas.aclose()

    serve(body)


def test_a_stream_that_its_reader_has_left_behind_makes_room_and_comes_back() -> None:
    async def body(driver: ThreadedDriver) -> None:
        whole = await driver.run(write([2], up_to(300), is_streamed=False))
        deltas = driver.start(write([2], up_to(300))).deltas()
        heard = [await anext(deltas)]
        other = await driver.run(write([3], up_to(200)))  # the only slot is the stream's
        assert len(other) == 200
        assert driver.load.num_running == 0
        heard += [delta async for delta in deltas]
        assert ids_of(heard) == whole
        assert_nothing_is_left(driver)

    serve(body, config=EngineConfig(max_slots=1))


def test_several_event_loops_may_ask_one_driver() -> None:
    engine = engine_of(recurrent())
    driver = ThreadedDriver(engine, 100)
    driver.start_thread()
    found = {}

    async def ask():
        running = driver.start(gather([write([2], up_to(300)), score_ids([3] * 50)]))
        heard = ids_of([delta async for delta in running.deltas()])
        written, score = await running.answer()
        assert heard == written
        return written, score.logprobs

    def ask_from(name: int) -> None:
        found[name] = asyncio.run(ask())

    threads = [threading.Thread(target=ask_from, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    asyncio.run(driver.stop())
    assert found == dict.fromkeys(range(4), found[0])


def test_an_event_loop_that_is_gone_keeps_nobody_else_from_an_answer() -> None:
    gate = Gate()
    driver = ThreadedDriver(fake_engine(gate=gate), 100)
    driver.start_thread()

    async def leave() -> None:
        driver.start(score_ids([gate.token_id, 2, 3]))

    async def ask():
        return await driver.run(score_ids([2, 3]))

    asyncio.run(leave())
    assert gate.is_reached.wait(LIMIT)
    gate.open()
    assert len(asyncio.run(ask()).logprobs) == 2
    assert len(asyncio.run(ask()).logprobs) == 2
    assert_nothing_is_left(driver)
    asyncio.run(driver.stop())


def test_an_empty_text_has_an_empty_score_and_an_end() -> None:
    async def body(driver: ThreadedDriver) -> None:
        assert (await driver.run(score_ids([]))).logprobs == []
        assert len((await driver.run(score_ids([1]))).logprobs) == 1

    serve(body)


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
        long = driver.start(score_ids([2] * 100))
        short = driver.start(predict([5]))
        if leaves:
            long.abort()
        assert (await short.answer()).log_probs.tobytes() == alone.log_probs.tobytes()
        if not leaves:
            assert len((await long.answer()).logprobs) == 100
        await settle(driver)
        assert_nothing_is_left(driver)

    serve(body, is_quick=True)


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
        assert not engine.scheduler.is_busy
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


def test_a_request_knows_what_its_texts_have_cost_done_or_left() -> None:
    async def body(driver: ThreadedDriver) -> None:
        caller = Caller("me")
        await driver.run(
            gather(write([3, 4], up_to(6), is_streamed=False) for _ in range(2)), caller
        )
        await asyncio.gather(
            driver.run(score_ids([2] * 20), caller), driver.run(predict([5]), caller)
        )
        deltas = driver.start(write([3], ENDLESS), caller).deltas()
        await anext(deltas)
        await deltas.aclose()
        stats = caller.stats
        assert stats.num_prompt == 2 * 3 + 20 + 2 + 2
        assert stats.num_written > 2 * 6
        assert 0 < stats.first_token_seconds < 20
        assert 0 <= stats.queue_seconds < 20

    serve(body)
    serve(body, engine_of(recurrent()))


@pytest.mark.parametrize("is_quick", [False, True])
def test_what_requests_have_cost_is_together_what_the_engine_has_counted(is_quick) -> None:
    def search():
        return (
            yield Request(Purpose.BRANCH, [3], sampling=up_to(5), beams=BeamParams(num_beams=3))
        )

    async def body(driver: ThreadedDriver) -> None:
        callers = [Caller(stats=CountedStats()) for _ in range(4)]
        operations = [
            gather(write([3], up_to(9), is_streamed=n % 2 == 0) for n in range(5)),
            gather([score_ids([2] * 30), predict([3, 4]), search()]),
            predict([2]),
            score_ids([]),
        ]
        for caller, operation in zip(callers, operations, strict=True):
            await driver.run(operation, caller)
        assert [caller.stats.num_texts for caller in callers] == [5, 3, 1, 0]
        metrics = driver.engine.metrics
        assert sum(caller.stats.num_prompt for caller in callers) == metrics.num_prompt
        assert sum(caller.stats.num_written for caller in callers) == metrics.num_written

    serve(body, is_quick=is_quick)


def test_a_text_that_is_left_or_broken_is_counted_once() -> None:
    gate = Gate()

    def broken():
        yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)
        raise ValueError("broken")

    def heard_enough():
        yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)

    def heard_first_of_two():
        yield Request(Purpose.GENERATE, [2], sampling=up_to(2), is_streamed=True)
        return (yield from predict([3]))

    async def body(driver: ThreadedDriver) -> None:
        left, ended, failed, late = (Caller(stats=CountedStats()) for _ in range(4))
        running = driver.start(gather([predict([2]), write([gate.token_id], ENDLESS)]), left)
        await reached(gate)
        gate.open()
        await settle(driver)  # the prediction's result waits to be heard
        running.abort()
        running.abort()
        assert left.stats.num_texts == 2
        await driver.run(heard_enough(), ended)
        with pytest.raises(ValueError):
            await driver.run(broken(), ended)
        assert ended.stats.num_texts == 2
        running = driver.start(heard_first_of_two(), late)
        await driver.run(score_ids([2] * 50))  # meanwhile both tokens have been sent
        await running.answer()
        assert late.stats.num_texts == 2
        with pytest.raises(EngineFailureError):
            await driver.run(gather([score_ids([2] * 50), predict([BREAKING])]), failed)
        assert failed.stats.num_texts == 2

    serve(body, gate=gate, breaks_on=BREAKING)


@pytest.mark.parametrize("runner", ["fake", "int8"])
@pytest.mark.parametrize("purpose", ["score", "stream", "left stream", "gathered"])
def test_what_is_done_is_freed_without_the_collector(purpose, runner) -> None:
    async def body(driver: ThreadedDriver) -> None:
        freed = []

        async def use() -> None:
            if purpose == "score":
                await driver.run(score_ids([3] * 500))
                return
            if purpose == "gathered":
                await driver.run(gather([score_ids([3] * 50), gather([predict([3])])]))
                return
            params = SamplingParams(max_tokens=500, ignore_eos=True)
            async with aclosing(driver.start(write([3], params)).deltas()) as deltas:
                async for _ in deltas:
                    if purpose == "left stream":
                        break

        make = driver.engine._sequence

        def watched(request, caller):
            sequence = make(request, caller)
            weakref.finalize(sequence, freed.append, "a sequence")
            return sequence

        driver.engine._sequence = watched
        gc.collect()
        gc.disable()
        try:
            await use()
            await driver.run(score_ids([5] * 9))
            await driver.run(score_ids([5] * 9))
        finally:
            gc.enable()
        assert len(freed) >= (3 if purpose == "gathered" else 2)

    serve(body, engine_of(recurrent()) if runner == "int8" else None)
