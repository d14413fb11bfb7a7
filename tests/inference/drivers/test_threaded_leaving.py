"""Operations on an engine's thread that are left, break or are stopped: nothing stays behind."""

import asyncio
import gc
import random
import weakref
from contextlib import aclosing

import pytest

from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.drivers.threaded import Running, ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import BeamParams, Request, Written
from refrain.inference.errors import EngineFailureError, EngineStoppedError
from refrain.inference.operation import gather
from refrain.inference.operations.scoring import score_ids
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.engines import engine_of, recurrent
from tests.support.fake_runner import BREAKING, LIMIT, Gate, fake_engine
from tests.support.threaded import assert_nothing_is_left, reached, serve, settle
from tests.support.token_operations import ENDLESS, predict, up_to, write


def test_a_caller_who_leaves_frees_the_slot() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = Running(driver, write([2], ENDLESS)).deltas()
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
    Running(driver, write([3], ENDLESS)).abort()


async def from_a_stream_that_was_never_read(driver: ThreadedDriver, _: Gate) -> None:
    running = Running(driver, write([3], ENDLESS))
    await running.deltas().aclose()
    running.abort()
    running.abort()


async def while_the_prompt_is_read(driver: ThreadedDriver, gate: Gate) -> None:
    task = asyncio.create_task(driver.run(write([gate.token_id, 3], ENDLESS)))
    await reached(gate)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def while_it_waits_for_a_slot(driver: ThreadedDriver, gate: Gate) -> None:
    first = Running(driver, gather(write([gate.token_id], ENDLESS) for _ in range(2)))
    await reached(gate)
    second = asyncio.create_task(driver.run(write([3], ENDLESS)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.open()
    first.abort()


async def between_two_pieces(driver: ThreadedDriver, _: Gate) -> None:
    async with aclosing(Running(driver, write([3], ENDLESS)).deltas()) as deltas:
        async for _delta in deltas:
            break


async def while_it_waits_for_a_piece(driver: ThreadedDriver, gate: Gate) -> None:
    deltas = Running(driver, gather([write([3], up_to(1)), score_ids([gate.token_id, 4])])).deltas()
    await reached(gate)
    gate.open()
    await anext(deltas)
    waits = asyncio.create_task(anext(deltas))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


async def with_one_of_several_parts_done(driver: ThreadedDriver, _: Gate) -> None:
    running = Running(driver, gather([write([3], up_to(1)), write([4], ENDLESS), predict([5])]))
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


def test_who_has_left_is_not_kept_waiting_for_an_answer() -> None:
    async def body(driver: ThreadedDriver) -> None:
        running = Running(driver, write([2], ENDLESS))
        running.abort()
        with pytest.raises(AssertionError, match="left"):
            await running.answer()

    serve(body)


def test_whoever_comes_and_goes_the_others_get_what_each_would_get_alone() -> None:
    pick = random.Random(0)

    def operation(number: int):
        kinds = (
            lambda: write([number], up_to(30, seed=number), is_streamed=number % 2 == 0),
            lambda: score_ids([number] * 20),
            lambda: gather(write([number], up_to(9, seed)) for seed in range(3)),
            lambda: gather([predict([number]), gather([score_ids([number] * 4)])]),
        )
        return kinds[number % 4]()

    async def come_and_go(driver: ThreadedDriver, number: int) -> str | None:
        for _ in range(pick.randrange(20)):
            await asyncio.sleep(0)
        task = asyncio.create_task(driver.run(operation(number), Caller(str(number % 3))))
        if number % 5 < 2:
            for _ in range(pick.randrange(9)):
                await asyncio.sleep(0)
            task.cancel()
        (found,) = await asyncio.gather(task, return_exceptions=True)
        return None if isinstance(found, asyncio.CancelledError) else str(found)

    async def body(driver: ThreadedDriver) -> None:
        numbers = range(2, 27)
        alone = {number: str(await driver.run(operation(number))) for number in numbers}
        found = await asyncio.gather(*(come_and_go(driver, number) for number in numbers))
        for number, answer in zip(numbers, found, strict=True):
            assert answer in ((alone[number], None) if number % 5 < 2 else (alone[number],))
        await settle(driver)
        assert_nothing_is_left(driver)

    for is_quick in (False, True):
        config = EngineConfig(max_slots=4, time_slice=5, prefix_cache_bytes=10_000)
        serve(body, config=config, is_quick=is_quick)


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
        deltas = Running(driver, write([2], ENDLESS)).deltas()
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


def test_a_refusal_keeps_nothing_of_those_who_were_refused_before() -> None:
    async def body(driver: ThreadedDriver) -> None:
        with pytest.raises(EngineFailureError):
            await driver.run(predict([BREAKING]))
        depths = []
        for refused in (lambda: driver.admit(1), lambda: Running(driver, predict([3]))) * 3:
            with pytest.raises(EngineFailureError) as caught:
                refused()
            depths.append(len(caught.traceback))
        assert depths == depths[:2] * 3

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
        deltas = Running(driver, write([2], ENDLESS)).deltas()
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


def test_an_event_loop_that_is_gone_keeps_nobody_else_from_an_answer() -> None:
    gate = Gate()
    driver = ThreadedDriver(fake_engine(gate=gate), 100)
    driver.start_thread()

    async def leave() -> None:
        Running(driver, score_ids([gate.token_id, 2, 3]))

    async def ask():
        return await driver.run(score_ids([2, 3]))

    asyncio.run(leave())
    assert gate.is_reached.wait(LIMIT)
    gate.open()
    assert len(asyncio.run(ask()).logprobs) == 2
    assert len(asyncio.run(ask()).logprobs) == 2
    assert_nothing_is_left(driver)
    asyncio.run(driver.stop())


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
            async with aclosing(Running(driver, write([3], params)).deltas()) as deltas:
                async for _ in deltas:
                    if purpose == "left stream":
                        break

        make = driver.engine.sequence

        def watched(request, caller):
            sequence = make(request, caller)
            weakref.finalize(sequence, freed.append, "a sequence")
            return sequence

        driver.engine.sequence = watched
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
