"""An engine on a thread of its own: operations arrive from event loops, and are answered as each alone."""

import asyncio
import threading

import pytest

from refrain.inference.drivers.threaded import Running, ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import BeamParams, Request, TextState
from refrain.inference.engine.sequence import MAX_UNSENT
from refrain.inference.errors import QueueFullError, RequestTooLargeError
from refrain.inference.operation import gather
from refrain.inference.operations.scoring import score_ids
from refrain.models.errors import InvalidParameterError, StateError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.engines import engine_of, recurrent
from tests.support.fake_runner import LIMIT, VOCAB_SIZE, FakeRunner, Gate
from tests.support.threaded import assert_nothing_is_left, reached, serve, settle
from tests.support.token_operations import ENDLESS, ids_of, predict, up_to, write


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
        running = Running(driver, gather(write([2], up_to(40), index=n) for n in range(3)))
        heard = [delta async for delta in running.deltas()]
        for index in range(3):
            assert ids_of(delta for delta in heard if delta.index == index) == whole
        assert await running.answer() == [whole] * 3

    serve(body)


def test_a_stream_has_its_first_token_as_soon_as_that_is_written() -> None:
    async def body(driver: ThreadedDriver) -> None:
        deltas = Running(driver, gather(write([3], ENDLESS, index=n) for n in range(3))).deltas()
        first = [await anext(deltas) for _ in range(3)]
        assert [(delta.index, len(ids_of([delta]))) for delta in first] == [(0, 1), (1, 1), (2, 1)]
        await deltas.aclose()

    serve(body)


def test_a_full_queue_refuses_the_whole_request() -> None:
    async def body(driver: ThreadedDriver) -> None:
        running = Running(driver, gather(write([2], ENDLESS) for _ in range(2)))
        with pytest.raises(QueueFullError):
            Running(driver, gather(write([2], ENDLESS) for _ in range(2)))
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
        task = asyncio.create_task(Running(driver, go_on()).answer())
        other = Running(driver, score_ids([2] * 5))
        for gate in (first, second):
            await reached(gate)
            with pytest.raises(QueueFullError):
                Running(driver, predict([6]))
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
            Running(driver, gather([predict([2]), ask()]))
        await settle(driver)
        with pytest.raises(error):
            Running(driver, ask())
        assert_nothing_is_left(driver)
        await settle(driver)

    serve(body, config=EngineConfig(max_slots=3), is_quick=is_quick)


def test_a_stream_is_a_few_tokens_ahead_of_its_reader_and_the_others_are_served() -> None:
    async def body(driver: ThreadedDriver) -> None:
        whole = await driver.run(write([2], up_to(300), is_streamed=False))
        deltas = Running(driver, write([2], ENDLESS)).deltas()
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
        deltas = Running(driver, write([2], up_to(300))).deltas()
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
        running = Running(driver, gather([write([2], up_to(300)), score_ids([3] * 50)]))
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


def test_an_empty_text_has_an_empty_score_and_an_end() -> None:
    async def body(driver: ThreadedDriver) -> None:
        assert (await driver.run(score_ids([]))).logprobs == []
        assert len((await driver.run(score_ids([1]))).logprobs) == 1

    serve(body)
