"""What a request's texts have cost: each is counted once, however it ends."""

import asyncio

import pytest

from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.drivers.threaded import Running, ThreadedDriver
from refrain.inference.engine.request import BeamParams, Request
from refrain.inference.errors import EngineFailureError
from refrain.inference.operation import gather
from refrain.inference.operations.scoring import score_ids
from refrain.models.native.step.structures import Purpose
from tests.support.engines import engine_of, recurrent
from tests.support.fake_runner import BREAKING, Gate
from tests.support.threaded import reached, serve, settle
from tests.support.token_operations import ENDLESS, CountedStats, predict, up_to, write


def test_a_request_knows_what_its_texts_have_cost_done_or_left() -> None:
    async def body(driver: ThreadedDriver) -> None:
        caller = Caller("me")
        await driver.run(
            gather(write([3, 4], up_to(6), is_streamed=False) for _ in range(2)), caller
        )
        await asyncio.gather(
            driver.run(score_ids([2] * 20), caller), driver.run(predict([5]), caller=caller)
        )
        deltas = Running(driver, write([3], ENDLESS), caller=caller).deltas()
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
            await driver.run(operation, caller=caller)
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
        running = Running(
            driver, gather([predict([2]), write([gate.token_id], ENDLESS)]), caller=left
        )
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
        running = Running(driver, heard_first_of_two(), caller=late)
        await driver.run(score_ids([2] * 50))  # meanwhile both tokens have been sent
        await running.answer()
        assert late.stats.num_texts == 2
        with pytest.raises(EngineFailureError):
            await driver.run(gather([score_ids([2] * 50), predict([BREAKING])]), failed)
        assert failed.stats.num_texts == 2

    serve(body, gate=gate, breaks_on=BREAKING)
