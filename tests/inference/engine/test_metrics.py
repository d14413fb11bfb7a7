"""What an engine counts: each token once, each text's waiting, and latencies by hand-made clocks."""

import itertools

import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.counters import SHORT_SECONDS, Histogram
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.metrics import EngineMetrics, RequestStats, Timings
from refrain.inference.engine.request import BeamParams, Request
from refrain.inference.runners.precision import make_runner
from refrain.models.config import LanguageModelConfig
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.networks.language_model import LanguageModel
from tests.support.engines import add

VOCABULARY = 30


def runner_of(config: EngineConfig, precision: str = "int8"):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "embedding_size": 8, "hidden_size": 8}
    model = LanguageModel(LanguageModelConfig(**sizes)).eval()
    return make_runner(model, precision, config, eos_id=1)[1]


def make(purpose: Purpose, ids, max_tokens: int = 0, **options) -> Request:
    sampling = SamplingParams(seed=1, max_tokens=max_tokens, ignore_eos=True)
    return Request(purpose, ids, sampling=sampling, **options)


def finish(engine: Engine) -> None:
    while engine.scheduler.num_taken:
        engine.admit()
        engine.step()


def work(engine: Engine, requests) -> None:
    add(engine, requests)
    finish(engine)


def num_values(histogram: Histogram) -> int:
    return sum(histogram.counts)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize(
    ("purpose", "max_tokens", "prompt", "written"),
    [
        (Purpose.GENERATE, 7, 6, 7),
        (Purpose.GENERATE, 0, 6, 0),  # a text that is only read
        (Purpose.SCORE, 0, 5, 0),  # the last target is not read
        (Purpose.PREDICT, 0, 6, 0),
    ],
)
def test_each_token_that_was_read_or_written_is_counted_once(
    precision, purpose, max_tokens, prompt, written
) -> None:
    config = EngineConfig(max_slots=3)
    engine = Engine(runner_of(config, precision), config)
    work(engine, [make(purpose, [3, 4, 5, 6, 7], max_tokens) for _ in range(8)])
    assert engine.metrics.num_prompt == 8 * prompt
    assert engine.metrics.num_written == 8 * written


def test_what_is_written_of_texts_under_way_is_counted_too() -> None:
    config = EngineConfig(max_slots=2, max_steps=5)
    engine = Engine(runner_of(config), config)
    (sequence,) = add(engine, [make(Purpose.GENERATE, [3, 4], 1_000)])
    engine.admit()
    for _ in range(13):
        engine.step()
    assert (engine.metrics.num_prompt, engine.metrics.num_written) == (3, 63)
    engine.step()
    engine.remove(sequence)
    assert (engine.metrics.num_prompt, engine.metrics.num_written) == (3, 68)


def test_tokens_that_the_prefix_cache_knew_are_not_read_again() -> None:
    config = EngineConfig(prefix_cache_bytes=100_000)
    engine = Engine(runner_of(config), config)
    work(engine, [make(Purpose.GENERATE, range(2, 20), 3)])
    read = engine.metrics.num_prompt
    work(engine, [make(Purpose.GENERATE, range(2, 20), 3)])
    assert read == 19
    assert engine.metrics.num_prompt == read + 1
    assert (engine.prefix_cache.num_queries, engine.prefix_cache.num_hits) == (2, 1)


def test_a_search_writes_a_token_for_each_hypothesis_that_is_branched() -> None:
    config = EngineConfig()
    engine = Engine(runner_of(config), config)
    work(engine, [make(Purpose.BRANCH, [3, 4], 4, beams=BeamParams(3))])
    assert engine.metrics.num_prompt == 3
    assert engine.metrics.num_written == 1 + 3 * 3
    assert num_values(engine.metrics.first_token_seconds) == 0
    assert len(engine.free_slots) == engine.num_slots


def test_a_step_is_counted_with_its_rows_and_its_share_of_the_call() -> None:
    clock = itertools.count(step=0.5)
    config = EngineConfig(max_slots=4)
    engine = Engine(runner_of(config), config, clock=lambda: next(clock))
    work(engine, [make(Purpose.GENERATE, [3], 9) for _ in range(4)])
    metrics = engine.metrics
    assert metrics.batch_size.sum == 4 * num_values(metrics.batch_size)
    assert num_values(metrics.batch_size) == num_values(metrics.step_seconds) == 10
    assert metrics.step_seconds.sum == pytest.approx(0.5)  # one call


def test_who_waits_for_a_slot_is_counted_once_even_if_it_gives_its_slot_up() -> None:
    config = EngineConfig(max_slots=1, time_slice=3, max_steps=2)
    engine = Engine(runner_of(config), config)
    for caller in "aab":
        add(engine, [make(Purpose.GENERATE, [3], 12)], caller)
    finish(engine)
    assert num_values(engine.metrics.queue_seconds) == 3
    assert num_values(engine.metrics.first_token_seconds) == 3
    assert num_values(engine.metrics.inter_token_seconds) == 3 * 11


def test_a_first_token_is_dated_back_by_the_tokens_that_came_after_it_in_the_call() -> None:
    clock = itertools.count(step=1.0)
    config = EngineConfig()
    engine = Engine(runner_of(config), config, clock=lambda: next(clock))
    (sequence,) = add(engine, [make(Purpose.GENERATE, [3, 4], 10)])
    finish(engine)
    timings = sequence.timings
    end = timings.sent
    assert timings.first_token == pytest.approx(end - 9 / 12)  # 12 steps took a second of the clock
    assert engine.metrics.inter_token_seconds.sum == pytest.approx(9 / 12)
    assert num_values(engine.metrics.inter_token_seconds) == 9


def test_the_tokens_of_one_message_share_the_time_since_the_message_before() -> None:
    metrics, timings = EngineMetrics(), Timings(entered=1.0)
    timings.first_token = 3.0
    metrics.count_sent([(timings, 1)], 3.0)
    assert num_values(metrics.inter_token_seconds) == 0
    metrics.count_sent([(timings, 4)], 3.16)
    metrics.count_sent([(timings, 1)], 3.26)
    assert num_values(metrics.inter_token_seconds) == 5
    assert metrics.inter_token_seconds.sum == pytest.approx(0.26)
    assert metrics.inter_token_seconds.counts[SHORT_SECONDS.index(0.05)] == 4


def test_streams_that_step_together_are_counted_as_each_alone() -> None:
    def texts() -> list[Timings]:
        times = ((1.0, None), (1.0, 2.0), (1.0, 2.0), (1.5, 2.5), (1.0, 2.0))
        return [Timings(first_token=first, sent=sent) for first, sent in times]

    sizes = (3, 2, 2, 2, 0)
    together, alone = EngineMetrics(), EngineMetrics()
    together.count_sent(zip(texts(), sizes, strict=True), 4.0)
    for message in zip(texts(), sizes, strict=True):
        alone.count_sent([message], 4.0)
    assert together.inter_token_seconds.counts == alone.inter_token_seconds.counts
    assert together.inter_token_seconds.sum == pytest.approx(alone.inter_token_seconds.sum)
    assert num_values(alone.inter_token_seconds) == 2 + 2 + 2 + 2


def test_a_request_s_statistics_are_those_of_its_texts_together() -> None:
    stats = RequestStats()
    stats.note_model("tang")
    stats.note_model("english")
    stats.note_model("tang")
    stats.add(Timings(entered=1.0, opened=1.5, first_token=3.0), 5, 7)
    stats.add(Timings(entered=1.0, opened=3.0, first_token=2.0), 1, 2)
    stats.add(Timings(entered=1.0), 0, 0)
    assert stats.models == ["english", "tang"]
    assert (stats.num_prompt, stats.num_written) == (6, 9)
    assert (stats.queue_seconds, stats.first_token_seconds) == (2.0, 1.0)
