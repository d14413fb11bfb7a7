"""The engine thread: streams arrive, leave, fail and stop."""

import asyncio
import gc
import threading
import weakref

import pytest
import torch

from app.engine.async_engine import AsyncEngine
from app.engine.config import EngineConfig
from app.engine.errors import (
    EngineFailureError,
    EngineStoppedError,
    QueueFullError,
    RequestTooLargeError,
)
from app.engine.one_shot import OneShotEngine
from app.engine.precision import make_runner
from models.config import LanguageModelConfig
from models.language_model import LanguageModel
from models.native.sequence import SamplingParams
from models.native.structures import Purpose

LIMIT = 20
ENDLESS = SamplingParams(seed=1, max_tokens=10**6, ignore_eos=True)


def model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(LanguageModelConfig(vocab_size=30, embedding_size=8, hidden_size=8)).eval()


class BrokenModel(LanguageModel):
    """Breaks when it reads token 13."""

    def read(self, tokens_BT, state):
        if (tokens_BT == 13).any():
            raise ValueError("thirteen")
        return super().read(tokens_BT, state)


def serve(body, *, network=None, config=None) -> None:
    """Run a coroutine against a started engine, and stop the engine."""

    async def run() -> None:
        limits = config or EngineConfig()
        precision = "fp32" if network else "int8"
        _, runner = make_runner(network or model(), precision, limits, boundary_id=1)
        engine = AsyncEngine(runner, limits, boundary_id=1)
        engine.start()
        try:
            await asyncio.wait_for(body(engine), LIMIT)
        finally:
            await engine.stop()

    asyncio.run(run())


def generate(engine, requests, *, is_eager=True) -> list:
    return engine.generate(
        [
            engine.sequence(Purpose.GENERATE, ids, params=params, is_eager=is_eager)
            for ids, params in requests
        ]
    )


async def collect(stream) -> list[int]:
    return [token_id async for written in stream for token_id in written.token_ids]


def test_many_callers_get_what_each_would_get_alone() -> None:
    async def body(engine: AsyncEngine) -> None:
        params = [SamplingParams(seed=n, max_tokens=9, ignore_eos=True) for n in range(20)]
        alone = []
        for n in range(20):
            (stream,) = generate(engine, [([2 + n], params[n])])
            alone.append(await collect(stream))
        streams = [generate(engine, [([2 + n], params[n])], is_eager=n % 2)[0] for n in range(20)]
        assert await asyncio.gather(*map(collect, streams)) == alone
        assert engine.is_alive

    serve(body)


def test_a_caller_who_leaves_frees_the_slot() -> None:
    async def body(engine: AsyncEngine) -> None:
        (first,) = generate(engine, [([2], ENDLESS)])
        async with first:
            await anext(first)
        (second,) = generate(engine, [([3], SamplingParams(seed=1, max_tokens=3))])
        await collect(second)
        assert engine.num_running == 0

    serve(body, config=EngineConfig(max_slots=1))


def test_a_cancelled_score_frees_the_slot() -> None:
    async def body(engine: AsyncEngine) -> None:
        task = asyncio.create_task(engine.score([2] * 1_000_000))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await engine.look([2])).log_probs.shape == (30,)
        assert engine.num_running == 0

    serve(body, config=EngineConfig(max_slots=1))


def test_a_broken_step_ends_every_open_stream_and_refuses_new_ones() -> None:
    async def body(engine: AsyncEngine) -> None:
        (stream,) = generate(engine, [([2], ENDLESS)])
        await anext(stream)
        with pytest.raises(EngineFailureError, match="thirteen"):
            await engine.look([13])
        with pytest.raises(EngineFailureError, match="thirteen"):
            await collect(stream)
        with pytest.raises(EngineFailureError, match="thirteen"):
            engine.admit(1)
        assert not engine.is_alive

    serve(body, network=BrokenModel(model().config).eval())


def test_stopping_ends_every_open_stream() -> None:
    async def body(engine: AsyncEngine) -> None:
        (stream,) = generate(engine, [([2], ENDLESS)])
        await anext(stream)
        await engine.stop()
        with pytest.raises(EngineStoppedError):
            await collect(stream)
        with pytest.raises(EngineStoppedError):
            await engine.look([2])

    serve(body)


def test_a_full_queue_refuses_the_whole_request() -> None:
    async def body(engine: AsyncEngine) -> None:
        streams = generate(engine, [([2], ENDLESS)] * 2)
        with pytest.raises(QueueFullError):
            generate(engine, [([2], ENDLESS)] * 2)
        with pytest.raises(QueueFullError):
            engine.admit(2)
        engine.admit(1)
        for stream in streams:
            stream.abort()

    serve(body, config=EngineConfig(max_slots=1, max_queue=2))


def test_an_empty_text_has_an_empty_score_and_an_end() -> None:
    async def body(engine: AsyncEngine) -> None:
        assert (await engine.score([])).logprobs == []
        assert len((await engine.score([], count_end=True)).logprobs) == 1

    serve(body)


def serve_one_shot(body, run_batch, **limits) -> None:
    async def run() -> None:
        limited = {"max_batch": 4, "max_queue": 10, **limits}
        engine = OneShotEngine(run_batch, num_tokens_of=lambda item: item, **limited)
        engine.start()
        try:
            await asyncio.wait_for(body(engine), LIMIT)
        finally:
            await engine.stop()

    asyncio.run(run())


def test_one_shot_answers_keep_their_order_and_share_batches() -> None:
    sizes = []

    def square(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return [item * item for item in items]

    async def body(engine) -> None:
        answers = await asyncio.gather(*(engine.submit([n, n + 1]) for n in range(4)))
        assert answers == [[n * n, (n + 1) ** 2] for n in range(4)]

    serve_one_shot(body, square)
    assert max(sizes) <= 4
    assert sum(sizes) == 8


def test_a_broken_batch_fails_its_callers_and_not_the_next() -> None:
    def invert(items: list[int]) -> list[float]:
        return [1 / item for item in items]

    async def body(engine) -> None:
        with pytest.raises(EngineFailureError, match="ZeroDivisionError"):
            await engine.submit([0])
        assert await engine.submit([2]) == [0.5]

    serve_one_shot(body, invert)


def test_a_job_whose_caller_left_is_not_run() -> None:
    started, release = threading.Event(), threading.Event()
    ran: list[int] = []

    def slow(items: list[int]) -> list[int]:
        ran.extend(items)
        started.set()
        release.wait(LIMIT)
        return items

    async def body(engine) -> None:
        first = asyncio.create_task(engine.submit([1]))
        await asyncio.to_thread(started.wait, LIMIT)
        left = asyncio.create_task(engine.submit([2]))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        release.set()
        assert await first == [1]
        assert await engine.submit([3]) == [3]
        assert ran == [1, 3]

    serve_one_shot(body, slow, max_batch=1)


def test_a_full_one_shot_queue_refuses() -> None:
    async def body(engine) -> None:
        with pytest.raises(RequestTooLargeError):
            await engine.submit(list(range(11)))
        await engine.stop()
        with pytest.raises(EngineStoppedError):
            await engine.submit([1])

    serve_one_shot(body, list)


@pytest.mark.parametrize("purpose", ["score", "stream", "left stream"])
def test_what_is_done_is_freed_without_the_collector(purpose) -> None:
    async def body(engine) -> None:
        freed = []

        async def use() -> None:
            if purpose == "score":
                await engine.score([3] * 500)
                return
            params = SamplingParams(max_tokens=500, ignore_eos=True)
            (stream,) = engine.generate(
                [engine.sequence(Purpose.GENERATE, [3], params=params, is_eager=True)]
            )
            async with stream:
                async for _ in stream:
                    if purpose == "left stream":
                        break

        made = engine.sequence

        def watched(*args, **options):
            sequence = made(*args, **options)
            weakref.finalize(sequence, freed.append, "a sequence")
            return sequence

        engine.sequence = watched
        gc.collect()
        gc.disable()
        try:
            await use()
            await engine.score([5] * 9)
            await engine.score([5] * 9)
        finally:
            gc.enable()
        assert len(freed) >= 2

    serve(body)
