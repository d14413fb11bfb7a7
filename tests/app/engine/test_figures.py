"""What an engine counts: each token once, each text's waiting, and latencies by hand-made clocks."""

import asyncio
import itertools

import pytest
import torch

from app.engine import tally
from app.engine.async_engine import AsyncEngine
from app.engine.beam_search import BeamParams, BeamSearch
from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.figures import Course, EngineFigures
from app.engine.histogram import SHORT_SECONDS, Histogram
from app.engine.one_shot import OneShotEngine
from app.engine.precision import make_runner
from app.engine.sequence import Sequence
from app.engine.token_rate import TokenRate
from models.config import LanguageModelConfig
from models.language_model import LanguageModel
from models.native.sequence import SamplingParams
from models.native.structures import Purpose

VOCABULARY = 30


def runner_of(config: EngineConfig, precision: str = "int8"):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "embedding_size": 8, "hidden_size": 8}
    model = LanguageModel(LanguageModelConfig(**sizes)).eval()
    return make_runner(model, precision, config, boundary_id=1)[1]


def make(purpose: Purpose, ids, max_tokens: int = 0, **options) -> Sequence:
    params = SamplingParams(seed=1, max_tokens=max_tokens, ignore_eos=True)
    return Sequence.make(purpose, 1, ids, vocab_size=VOCABULARY, params=params, **options)


def work(engine: Engine, sequences) -> None:
    engine.add(sequences)
    while engine.scheduler.is_busy:
        engine.admit()
        engine.step()


def num_values(histogram: Histogram) -> int:
    return sum(histogram.counts)


def test_a_value_falls_into_the_first_bucket_that_is_not_below_it() -> None:
    histogram = Histogram((1, 2, 4))
    for value in (0.5, 1, 1.5, 4):
        histogram.count(value)
    histogram.count(9, times=3)
    assert histogram.counts == [2, 1, 1, 3]
    assert histogram.sum == 0.5 + 1 + 1.5 + 4 + 27


def test_a_rate_looks_back_upon_the_last_seconds_and_no_further() -> None:
    rate = TokenRate()
    for second in range(20):
        rate.count(10 if second < 10 else 20, second + 0.5)
    assert rate.read(20.0) == pytest.approx(20)
    rate.count(1_000, 20.25)
    assert rate.read(20.5) == pytest.approx(1_100 / 5.5)
    assert rate.read(40.0) == 0


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize(
    ("purpose", "max_tokens", "prompt", "written"),
    [
        (Purpose.GENERATE, 7, 6, 7),
        (Purpose.GENERATE, 0, 6, 0),  # a text that is only read
        (Purpose.SCORE, 0, 5, 0),  # the last target is not read
        (Purpose.LOOK, 0, 6, 0),
    ],
)
def test_each_token_that_was_read_or_written_is_counted_once(
    precision, purpose, max_tokens, prompt, written
) -> None:
    config = EngineConfig(max_slots=3)
    engine = Engine(runner_of(config, precision), config)
    work(engine, [make(purpose, [3, 4, 5, 6, 7], max_tokens) for _ in range(8)])
    assert engine.figures.num_prompt == 8 * prompt
    assert engine.figures.num_written == 8 * written


def test_what_is_written_of_texts_under_way_is_counted_too() -> None:
    config = EngineConfig(max_slots=2, max_steps=5)
    engine = Engine(runner_of(config), config)
    sequence = make(Purpose.GENERATE, [3, 4], 1_000)
    engine.add([sequence])
    engine.admit()
    for _ in range(13):
        engine.step()
    assert (engine.figures.num_prompt, engine.figures.num_written) == (3, 63)
    engine.step()
    engine.remove(sequence)
    assert (engine.figures.num_prompt, engine.figures.num_written) == (3, 68)


def test_tokens_that_the_prefix_cache_knew_are_not_read_again() -> None:
    config = EngineConfig(prefix_cache_bytes=100_000)
    engine = Engine(runner_of(config), config)
    work(engine, [make(Purpose.GENERATE, range(2, 20), 3)])
    read = engine.figures.num_prompt
    work(engine, [make(Purpose.GENERATE, range(2, 20), 3)])
    assert read == 19
    assert engine.figures.num_prompt == read + 1
    assert (engine.prefix_cache.num_queries, engine.prefix_cache.num_hits) == (2, 1)


def test_a_search_writes_a_token_for_each_hypothesis_that_is_branched() -> None:
    config = EngineConfig()
    engine = Engine(runner_of(config), config)
    rows = [make(Purpose.BRANCH, [3, 4], 4, num_branches=6) for _ in range(3)]
    root, *root.siblings = rows
    engine.add_search(root, BeamSearch(root, BeamParams(3), 1))
    while engine.scheduler.is_busy:
        engine.admit()
        engine.step()
    assert engine.figures.num_prompt == 3
    assert engine.figures.num_written == 1 + 3 * 3
    assert num_values(engine.figures.first_token_seconds) == 0
    assert engine.share_of_slots == 0


def test_a_step_is_counted_with_its_rows_and_its_share_of_the_call() -> None:
    clock = itertools.count(step=0.5)
    config = EngineConfig(max_slots=4)
    engine = Engine(runner_of(config), config, clock=lambda: next(clock))
    work(engine, [make(Purpose.GENERATE, [3], 9) for _ in range(4)])
    figures = engine.figures
    assert figures.batch_size.sum == 4 * num_values(figures.batch_size)
    assert num_values(figures.batch_size) == num_values(figures.step_seconds) == 10
    assert figures.step_seconds.sum == pytest.approx(0.5)  # one call


def test_who_waits_for_a_slot_is_counted_once_even_if_it_gives_its_slot_up() -> None:
    config = EngineConfig(max_slots=1, turn_steps=3, max_steps=2)
    engine = Engine(runner_of(config), config)
    callers = "aab"
    work(engine, [make(Purpose.GENERATE, [3], 12, caller=caller) for caller in callers])
    assert num_values(engine.figures.queue_seconds) == 3
    assert num_values(engine.figures.first_token_seconds) == 3
    assert num_values(engine.figures.inter_token_seconds) == 3 * 11


def test_a_first_token_is_dated_back_by_the_tokens_that_came_after_it_in_the_call() -> None:
    clock = itertools.count(step=1.0)
    config = EngineConfig()
    engine = Engine(runner_of(config), config, clock=lambda: next(clock))
    sequence = make(Purpose.GENERATE, [3, 4], 10)
    work(engine, [sequence])
    course = sequence.course
    end = course.told
    assert course.first_token == pytest.approx(end - 9 / 12)  # 12 steps took a second of the clock
    assert engine.figures.inter_token_seconds.sum == pytest.approx(9 / 12)
    assert num_values(engine.figures.inter_token_seconds) == 9


def test_the_tokens_of_one_message_share_the_time_since_the_message_before() -> None:
    figures, course = EngineFigures(), Course(entered=1.0)
    figures.count_first_token(course, 3.0)
    figures.count_told([(course, 1)], 3.0)
    assert num_values(figures.inter_token_seconds) == 0
    figures.count_told([(course, 4)], 3.16)
    figures.count_told([(course, 1)], 3.26)
    assert figures.first_token_seconds.sum == 2.0
    assert num_values(figures.inter_token_seconds) == 5
    assert figures.inter_token_seconds.sum == pytest.approx(0.26)
    assert figures.inter_token_seconds.counts[SHORT_SECONDS.index(0.05)] == 4


def test_streams_that_step_together_are_counted_as_each_alone() -> None:
    def courses() -> list[Course]:
        times = ((1.0, None), (1.0, 2.0), (1.0, 2.0), (1.5, 2.5), (1.0, 2.0))
        return [Course(first_token=first, told=told) for first, told in times]

    sizes = (3, 2, 2, 2, 0)
    together, alone = EngineFigures(), EngineFigures()
    together.count_told(zip(courses(), sizes, strict=True), 4.0)
    for message in zip(courses(), sizes, strict=True):
        alone.count_told([message], 4.0)
    assert together.inter_token_seconds.counts == alone.inter_token_seconds.counts
    assert together.inter_token_seconds.sum == pytest.approx(alone.inter_token_seconds.sum)
    assert num_values(alone.inter_token_seconds) == 2 + 2 + 2 + 2


def test_a_request_knows_what_its_texts_have_cost_done_or_left() -> None:
    async def run() -> tally.Tally:
        found = tally.begin()
        config = EngineConfig()
        engine = AsyncEngine(runner_of(config), config, boundary_id=1)
        engine.start()
        params = SamplingParams(seed=1, max_tokens=6, ignore_eos=True)
        sequences = [engine.sequence(Purpose.GENERATE, [3, 4], params=params) for _ in range(2)]
        for stream in engine.generate(sequences):
            async for _ in stream:
                pass
        await asyncio.gather(engine.score([2] * 20), engine.look([5]))
        endless = SamplingParams(seed=1, max_tokens=10**6, ignore_eos=True)
        asked = engine.sequence(Purpose.GENERATE, [3], params=endless, is_eager=True)
        (left,) = engine.generate([asked])
        async with left:
            await anext(left)
        await engine.stop()
        return found

    found = asyncio.run(run())
    assert found.num_prompt == 2 * 3 + 20 + 2 + 2
    assert found.num_written > 2 * 6
    assert 0 < found.first_token_seconds < 20
    assert 0 <= found.queue_seconds < 20


def test_a_classifier_counts_texts_and_their_tokens() -> None:
    async def run() -> tuple[OneShotEngine, tally.Tally]:
        found = tally.begin()
        engine = OneShotEngine(list, max_batch=4, max_queue=10, num_tokens_of=len)
        engine.start()
        await engine.submit(["one", "three", "seven"])
        await engine.stop()
        return engine, found

    engine, found = asyncio.run(run())
    assert engine.figures.num_prompt == found.num_prompt == len("onethreeseven")
    assert engine.figures.batch_size.sum == 3
    assert num_values(engine.figures.queue_seconds) == 3
    assert (engine.load.num_running, engine.load.num_waiting) == (0, 0)
