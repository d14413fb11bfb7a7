"""The engine's invariants: whoever shares the batch, the same bytes; a slot is free as soon as it can be."""

import math
import random

import numpy as np
import pytest
import torch

from app.engine.config import EngineConfig
from app.engine.engine import Engine, is_final
from app.engine.errors import EndedTextError, QueueFullError, RequestTooLargeError
from app.engine.precision import make_runner
from app.engine.prefix_cache import PrefixCache
from app.engine.sequence import Sequence, TextState, Written
from models.config import LanguageModelConfig, NGramConfig
from models.errors import StateError
from models.kneser_ney import KneserNeyModel
from models.language_model import LanguageModel
from models.native.sequence import SamplingParams
from models.native.structures import Purpose

VOCABULARY = 50
PURPOSES = (Purpose.GENERATE, Purpose.SCORE, Purpose.LOOK)
LIMITS = {"max_slots": 6, "max_queue": 100, "block_width": 8, "max_block_rows": 3, "row_tile": 4}
CONFIG = EngineConfig(**LIMITS)


def recurrent(cell: str = "lstm") -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=VOCABULARY, cell=cell, embedding_size=24, hidden_size=40, num_layers=2
    )
    return LanguageModel(config).eval()


def counted() -> KneserNeyModel:
    texts = random.Random(0)
    documents = [[texts.randrange(2, VOCABULARY) for _ in range(30)] for _ in range(20)]
    return KneserNeyModel.estimate(documents, NGramConfig(vocab_size=VOCABULARY, order=3))


def engine_of(model, precision: str = "int8", config: EngineConfig = CONFIG) -> Engine:
    return Engine(make_runner(model, precision, config, boundary_id=1)[1], config)


def work(engine: Engine, sequences: list[Sequence]) -> dict:
    """Serve sequences to the end and collect what was found out for each."""
    engine.add(sequences)
    found: dict[Sequence, list] = {sequence: [] for sequence in sequences}
    while engine.scheduler.is_busy:
        engine.admit()
        for sequence, outcome in engine.step():
            found[sequence].append(outcome)
    return found


def make(purpose: Purpose, ids, **options) -> Sequence:
    return Sequence.make(purpose, 1, ids, vocab_size=VOCABULARY, **options)


def make_sequence(purpose: Purpose, seed: int) -> Sequence:
    draw = random.Random(seed)
    ids = [draw.randrange(2, VOCABULARY) for _ in range(draw.choice([0, 1, 5, 8, 9, 31, 70]))]
    params = SamplingParams(
        seed=seed,
        max_tokens=draw.randrange(0, 20),
        temperature=draw.choice([0.0, 0.7, 1.3]),
        top_k=draw.choice([0, 0, 3]),
        top_p=draw.choice([1.0, 0.8]),
        min_p=draw.choice([0.0, 0.1]),
        repetition_penalty=draw.choice([1.0, 1.2]),
        presence_penalty=draw.choice([0.0, 0.5]),
        logit_bias=((0, -math.inf), (7, 0.5)),
    )
    if purpose is Purpose.SCORE and not ids:
        ids = [3]
    return make(
        purpose,
        ids,
        params=params,
        num_top=draw.choice([0, 2]),
        is_eager=draw.choice([False, True]),
        wants_state=True,
    )


def told(outcomes: list) -> object:
    """Everything that was told of a sequence, however it was cut to messages."""
    last = outcomes[-1]
    if not isinstance(last, Written):
        return [
            value.tobytes() if isinstance(value, np.ndarray) else value
            for value in vars(last).values()
        ]
    return (
        [token for written in outcomes for token in written.token_ids],
        [logprob for written in outcomes for logprob in written.logprobs],
        [top for written in outcomes for top in written.top],
        last.finish_reason,
        last.state,
    )


MODELS = [
    pytest.param(recurrent, "int8", id="lstm-int8"),
    pytest.param(lambda: recurrent("gru"), "int8", id="gru-int8"),
    pytest.param(lambda: recurrent("elman"), "int8", id="elman-int8"),
    pytest.param(recurrent, "fp32", id="lstm-fp32"),
    pytest.param(recurrent, "bf16", id="lstm-bf16"),
    pytest.param(lambda: recurrent("jordan"), "fp32", id="jordan-fp32"),
    pytest.param(counted, "fp32", id="counts"),
]


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize(("make_model", "precision"), MODELS)
def test_not_a_byte_depends_on_who_shares_the_batch(make_model, precision, num_threads) -> None:
    model = make_model()
    config = EngineConfig(**LIMITS, num_threads=num_threads)
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        kinds = [PURPOSES[n % 3] for n in range(30)]
        together = work(
            engine_of(model, precision, config),
            [make_sequence(kind, n) for n, kind in enumerate(kinds)],
        )
        for n, (kind, outcomes) in enumerate(zip(kinds, together.values(), strict=True)):
            alone = make_sequence(kind, n)
            engine = engine_of(model, precision, config)
            alone.is_eager = False
            found = work(engine, [alone])[alone]
            assert told(outcomes) == told(found), (kind, n)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("make_model", "precision"), MODELS)
def test_a_text_that_goes_on_from_its_state_is_the_text_of_one_piece(make_model, precision) -> None:
    model = make_model()
    params = SamplingParams(seed=5, max_tokens=24, ignore_eos=True)
    whole = make(Purpose.GENERATE, [4, 9, 2], params=params)
    (outcome,) = work(engine_of(model, precision), [whole])[whole]
    first = make(
        Purpose.GENERATE,
        [4, 9],
        params=SamplingParams(seed=5, max_tokens=0),
        wants_state=True,
    )
    (read,) = work(engine_of(model, precision), [first])[first]
    second = make(
        Purpose.GENERATE,
        [2],
        params=SamplingParams(seed=5, max_tokens=10, ignore_eos=True),
        start=read.state,
        wants_state=True,
    )
    (half,) = work(engine_of(model, precision), [second])[second]
    third = make(
        Purpose.GENERATE,
        [],
        params=SamplingParams(seed=5, max_tokens=14, ignore_eos=True),
        start=half.state,
    )
    (rest,) = work(engine_of(model, precision), [third])[third]
    assert half.token_ids + rest.token_ids == outcome.token_ids
    assert half.logprobs + rest.logprobs == outcome.logprobs


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_prefix_read_before_changes_nothing_but_the_work(purpose) -> None:
    model = recurrent()
    ids = [random.Random(1).randrange(2, VOCABULARY) for _ in range(40)]
    params = SamplingParams(seed=5, max_tokens=9, ignore_eos=True)
    plain = make(purpose, ids, params=params, wants_state=True)
    expected = told(work(engine_of(model), [plain])[plain])
    engine = engine_of(model, config=EngineConfig(**LIMITS, prefix_cache_bytes=100_000))
    for known in (ids[:20], ids, ids, [*ids, 3, 4]):
        first = make(purpose, known, params=params, caller="a", wants_state=True)
        found = told(work(engine, [first])[first])
        assert known != ids or found == expected
    assert (engine.prefix_cache.num_hits > 0) == (purpose is not Purpose.SCORE)


def test_the_prefix_cache_stays_within_its_budget_and_within_the_caller() -> None:
    config = EngineConfig(**LIMITS, prefix_cache_bytes=5_000)
    engine = engine_of(recurrent(), config=config)
    for n in range(40):
        work(engine, [make(Purpose.LOOK, [n + 2] * 12, caller="a")])
    assert 3_000 < engine.prefix_cache.num_bytes <= 5_000
    work(engine, [make(Purpose.LOOK, [41] * 12, caller="b")])
    assert engine.prefix_cache.num_hits == 0


def test_a_state_of_another_length_is_refused() -> None:
    model = recurrent()
    first = make(Purpose.LOOK, [2, 3], wants_state=True)
    (looked,) = work(engine_of(recurrent("elman")), [first])[first]
    engine = engine_of(model)
    engine.add([make(Purpose.LOOK, [2], start=looked.state)])
    with pytest.raises(StateError, match="bytes"):
        engine.admit()


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_scores_and_looks_are_those_of_the_model_itself(precision) -> None:
    model = recurrent()
    ids = [random.Random(3).randrange(2, VOCABULARY) for _ in range(21)]
    score = make(Purpose.SCORE, ids, num_top=3)
    look = make(Purpose.LOOK, ids, num_top=4)
    found = work(engine_of(model, precision), [score, look])
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[1, *ids]]), model.zero_state(1))
    log_probs_TV = logits[0].log_softmax(1).numpy()
    expected = log_probs_TV[np.arange(21), ids]
    tolerance = 1e-5 if precision == "fp32" else 0.02
    (scored,), (looked,) = found[score], found[look]
    assert np.abs(np.array(scored.logprobs) - expected).max() < tolerance
    assert np.abs(looked.log_probs - log_probs_TV[-1]).max() < tolerance
    probabilities = np.exp(looked.log_probs.astype(float))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert looked.entropy == pytest.approx(-(probabilities @ looked.log_probs), rel=1e-5)
    order = np.argsort(-looked.log_probs, kind="stable")[:4]
    assert looked.top == [(int(i), float(looked.log_probs[i])) for i in order]
    if precision == "fp32":
        ranks = (log_probs_TV[:-1] > expected[:, None]).sum(axis=1) + 1
        assert scored.ranks == ranks.tolist()
        assert [[t for t, _ in top] for top in scored.top] == np.argsort(
            -log_probs_TV[:-1], axis=1, kind="stable"
        )[:, :3].tolist()


def test_what_is_written_has_the_log_probabilities_that_scoring_gives() -> None:
    engine = engine_of(recurrent())
    params = SamplingParams(seed=3, max_tokens=15, ignore_eos=True, repetition_penalty=1.5)
    writing = make(Purpose.GENERATE, [4, 5], params=params, num_top=2)
    (written,) = work(engine, [writing])[writing]
    scoring = make(Purpose.SCORE, [4, 5, *written.token_ids], num_top=2)
    (scored,) = work(engine, [scoring])[scoring]
    assert scored.logprobs[2:] == written.logprobs
    assert scored.top[2:] == written.top


def test_a_long_prompt_does_not_hold_up_a_running_stream() -> None:
    engine = engine_of(recurrent())
    stream = make(
        Purpose.GENERATE, [2], params=SamplingParams(max_tokens=50, ignore_eos=True), is_eager=True
    )
    engine.add([stream])
    engine.admit()
    engine.step()
    engine.add([make(Purpose.LOOK, [3] * 5000) for _ in range(4)])
    engine.admit()
    for _ in range(20):
        told_of = [sequence for sequence, _ in engine.step()]
        assert stream in told_of, "a step is one token of each, so the stream advances at every one"


def test_a_stream_that_is_ahead_of_its_reader_waits_and_the_others_go_on() -> None:
    engine = engine_of(recurrent())
    params = SamplingParams(max_tokens=500, ignore_eos=True)
    stream = make(Purpose.GENERATE, [2], params=params, is_eager=True)
    other = make(Purpose.GENERATE, [3], params=params)
    engine.add([stream, other])
    engine.admit()
    stream.is_reader_ready = False
    while other.is_running:
        engine.step()
    assert 32 <= stream.num_untold <= 64
    assert not engine.can_step
    assert engine.step() == []
    stream.is_reader_ready = True
    ((_, written),) = engine.step()
    assert len(written.token_ids) > 32


def test_callers_take_turns_at_the_slots() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=100))
    greedy = [make(Purpose.LOOK, [2, 3], caller="greedy") for _ in range(10)]
    modest = make(Purpose.LOOK, [4], caller="modest")
    engine.add(greedy)
    engine.add([modest])
    order = []
    while engine.scheduler.is_busy:
        engine.admit()
        order += [sequence for sequence, outcome in engine.step() if is_final(outcome)]
    assert order.index(modest) == 1
    assert [sequence for sequence in order if sequence is not modest] == greedy


def test_a_full_queue_refuses_all_or_nothing() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=2))
    with pytest.raises(RequestTooLargeError, match="room for 3"):
        engine.add([make(Purpose.LOOK, [2]) for _ in range(4)])
    assert not engine.scheduler.is_busy
    engine.add([make(Purpose.LOOK, [2]) for _ in range(2)])
    with pytest.raises(QueueFullError, match="come back later"):
        engine.add([make(Purpose.LOOK, [2]) for _ in range(2)])
    engine.add([make(Purpose.LOOK, [2])])


def test_removing_frees_the_slot_and_the_place_in_the_queue() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=2))
    first, second, third = (make(Purpose.LOOK, [2] * 100) for _ in range(3))
    engine.add([first, second, third])
    engine.admit()
    engine.remove(second)
    engine.remove(first)
    engine.admit()
    assert engine.scheduler.running == [third]
    assert engine.scheduler.num_waiting == 0


@pytest.mark.parametrize(("make_model", "precision"), MODELS)
def test_not_a_byte_depends_on_turns(make_model, precision) -> None:
    model = make_model()
    config = EngineConfig(**{**LIMITS, "max_slots": 2}, turn_steps=5, max_steps=3)
    kinds = [PURPOSES[n % 3] for n in range(20)]
    sequences = [make_sequence(kind, n) for n, kind in enumerate(kinds)]
    for n, sequence in enumerate(sequences):
        sequence.caller = "greedy" if n < 12 else str(n % 3)
    together = work(engine_of(model, precision, config), sequences)
    for n, (kind, outcomes) in enumerate(zip(kinds, together.values(), strict=True)):
        alone = make_sequence(kind, n)
        alone.is_eager = False
        (expected,) = work(engine_of(model, precision), [alone]).values()
        assert told(outcomes) == told(expected), n


def test_who_waits_gets_a_slot_after_a_turn_of_the_greediest() -> None:
    config = EngineConfig(max_slots=4, turn_steps=20, max_steps=8)
    engine = engine_of(recurrent(), config=config)
    params = SamplingParams(max_tokens=10_000, ignore_eos=True)
    engine.add([make(Purpose.GENERATE, [3], params=params, caller="greedy") for _ in range(8)])
    engine.admit()
    for _ in range(10):
        engine.step()
        engine.admit()
    late = make(Purpose.LOOK, [4], caller="late")
    engine.add([late])
    num_steps = 0
    while not any(sequence is late for sequence, _ in engine.step()):
        engine.admit()
        num_steps += 1
    assert num_steps * config.max_steps <= config.turn_steps + 2 * config.max_steps
    assert all(sequence.caller == "greedy" for sequence in engine.scheduler.running)


def test_a_caller_alone_keeps_its_slots_to_the_end() -> None:
    config = EngineConfig(max_slots=2, turn_steps=1, max_steps=1)
    engine = engine_of(recurrent(), config=config)
    params = SamplingParams(max_tokens=30, ignore_eos=True)
    texts = [make(Purpose.GENERATE, [3], params=params) for _ in range(4)]
    assert list(work(engine, texts)) == texts
    assert all(text.parked is None for text in texts)


def test_a_text_whose_reader_does_not_read_gives_its_slot_to_who_waits() -> None:
    config = EngineConfig(max_slots=1)
    engine = engine_of(recurrent(), config=config)
    params = SamplingParams(seed=5, max_tokens=100, ignore_eos=True)
    left = make(Purpose.GENERATE, [3], params=params, is_eager=True)
    engine.add([left])
    engine.admit()
    outcomes = [outcome for _, outcome in engine.step()]
    left.is_reader_ready = False
    while not left.is_ahead:
        engine.step()
    other = make(Purpose.LOOK, [4])
    engine.add([other])
    engine.admit()
    assert [sequence for sequence, _ in engine.step()] == [other]
    assert engine.scheduler.is_busy
    left.is_reader_ready = True
    while engine.scheduler.is_busy:
        engine.admit()
        outcomes += [outcome for _, outcome in engine.step()]
    alone = make(Purpose.GENERATE, [3], params=params)
    ((whole,),) = work(engine_of(recurrent(), config=config), [alone]).values()
    assert told(outcomes) == told([whole])


def test_nothing_is_scored_after_the_end_of_a_text() -> None:
    ended = TextState(b"", 4, ())
    with pytest.raises(EndedTextError):
        make(Purpose.SCORE, [3, 4], start=ended)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_network_that_overflows_still_writes_tokens_that_there_are(temperature) -> None:
    model = recurrent("elman")
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    config = EngineConfig(**LIMITS)
    params = SamplingParams(
        seed=1, max_tokens=9, temperature=temperature, logit_bias=((0, -math.inf),)
    )
    engine = engine_of(model, "fp32", config)
    ((outcome,),) = work(engine, [make(Purpose.GENERATE, [3], params=params)]).values()
    assert all(0 < token < VOCABULARY for token in outcome.token_ids)
    ((scored,),) = work(engine, [make(Purpose.SCORE, [3, 4])]).values()
    assert all(math.isfinite(logprob) for logprob in scored.logprobs)


def test_the_prefix_cache_forgets_the_longest_unused_first() -> None:
    cache = PrefixCache(2 * (20 + 100 + 300) + 10)
    texts = [np.arange(n, n + 5, dtype=np.int32) for n in (0, 10, 20)]
    cache.put("me", texts[0], b"a" * 100)
    cache.put("me", texts[1], b"b" * 100)
    assert cache.find("me", np.append(texts[0], 99).astype(np.int32)) is not None
    cache.put("me", texts[2], b"c" * 100)
    assert cache.find("me", np.append(texts[0], 99).astype(np.int32)) is not None
    assert cache.find("me", np.append(texts[1], 99).astype(np.int32)) is None
