"""The engine's invariants: whoever shares the batch, the same bytes; a slot is free as soon as it can be."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import BeamParams, Request, TextState
from refrain.inference.engine.sequence import Sequence
from refrain.inference.errors import EndedTextError, QueueFullError, RequestTooLargeError
from refrain.models.errors import InvalidParameterError, StateError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from tests.support.engines import (
    BOUNDARY,
    CONFIG,
    LIMITS,
    VOCABULARY,
    add,
    content,
    counted,
    engine_of,
    finish,
    recurrent,
    serve,
)

PURPOSES = (Purpose.GENERATE, Purpose.SCORE, Purpose.PREDICT)
STATE = Want(state=True)
ENDLESS = SamplingParams(max_tokens=10_000, ignore_eos=True)


def draw_request(purpose: Purpose, seed: int) -> Request:
    draw = random.Random(seed)
    ids = [draw.randrange(2, VOCABULARY) for _ in range(draw.choice([0, 1, 5, 8, 9, 31, 41]))]
    sampling = SamplingParams(
        seed=seed,
        max_tokens=draw.randrange(0, 20),
        temperature=draw.choice([0.0, 0.7, 1.3]),
        top_k=draw.choice([0, 0, 3]),
        top_p=draw.choice([1.0, 0.8]),
        min_p=draw.choice([0.0, 0.1]),
        typical_p=draw.choice([1.0, 0.7]),
        repetition_penalty=draw.choice([1.0, 1.2]),
        presence_penalty=draw.choice([0.0, 0.5]),
        logit_bias=((0, -math.inf), (7, 0.5)),
    )
    if purpose is Purpose.SCORE and not ids:
        ids = [3]
    want = Want(
        top=draw.choice([0, 2]),
        ranks=draw.choice([False, True]),
        state=True,
        hidden=draw.choice([False, True]),
    )
    is_streamed = draw.choice([False, True])
    return Request(purpose, ids, sampling=sampling, want=want, is_streamed=is_streamed)


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
    torch.set_num_threads(num_threads)
    requests = [draw_request(PURPOSES[n % 3], n) for n in range(30)]
    together = serve(engine_of(model, precision, config), requests)
    # Two threads of torch's are slow on tiny products, so every fourth text has to do there.
    step = 1 if precision == "int8" else num_threads**2
    for request, results in list(zip(requests, together, strict=True))[::step]:
        engine = engine_of(model, precision, config)
        (found,) = serve(engine, [replace(request, is_streamed=False)])
        assert content(results) == content(found), request


@pytest.mark.parametrize(("make_model", "precision"), MODELS)
def test_a_text_that_goes_on_from_its_state_is_the_text_of_one_piece(make_model, precision) -> None:
    model = make_model()

    def write(ids, max_tokens: int, start: TextState | None = None):
        sampling = SamplingParams(seed=5, max_tokens=max_tokens, ignore_eos=True)
        request = Request(Purpose.GENERATE, ids, start, sampling, STATE)
        return engine_of(model, precision).answer(request)[1]

    whole = write([4, 9, 2], 24)
    read = write([4, 9], 0)
    half = write([2], 10, read.state)
    rest = write([], 14, half.state)
    assert half.token_ids + rest.token_ids == whole.token_ids
    assert half.logprobs + rest.logprobs == whole.logprobs
    assert rest.state == whole.state


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_prefix_read_before_changes_nothing_but_the_work(purpose) -> None:
    model = recurrent()
    ids = [random.Random(1).randrange(2, VOCABULARY) for _ in range(40)]
    sampling = SamplingParams(seed=5, max_tokens=9, ignore_eos=True)
    plain = Request(purpose, ids, sampling=sampling, want=STATE)
    (expected,) = map(content, serve(engine_of(model), [plain]))
    engine = engine_of(model, config=EngineConfig(**LIMITS, prefix_cache_bytes=100_000))
    for known in (ids[:20], ids, ids, [*ids, 3, 4]):
        (found,) = map(content, serve(engine, [replace(plain, token_ids=known)], caller="a"))
        assert known != ids or found == expected
    assert (engine.prefix_cache.num_hits > 0) == (purpose is not Purpose.SCORE)


def test_the_prefix_cache_stays_within_its_budget_and_within_the_caller() -> None:
    config = EngineConfig(**LIMITS, prefix_cache_bytes=5_000)
    engine = engine_of(recurrent(), config=config)
    for n in range(40):
        engine.answer(Request(Purpose.PREDICT, [n + 2] * 12), caller="a")
    assert 3_000 < engine.prefix_cache.num_bytes <= 5_000
    engine.answer(Request(Purpose.PREDICT, [41] * 12), caller="b")
    assert engine.prefix_cache.num_hits == 0
    engine.answer(Request(Purpose.PREDICT, [41] * 12), caller="a")
    assert engine.prefix_cache.num_hits == 1


def test_hidden_states_are_reported_of_a_prefix_that_was_read_before_too() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(**LIMITS, prefix_cache_bytes=100_000))
    ids = [*range(2, 22)]
    engine.answer(Request.read(ids))
    found = [engine.answer(Request.read(ids, hidden=True))[1].hidden for _ in range(2)]
    expected = engine_of(recurrent()).answer(Request.read(ids, hidden=True))[1].hidden
    assert all((hidden == expected).all() for hidden in found)


def nothing_was_added(engine: Engine) -> bool:
    return engine.scheduler.num_taken == 0


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_state_of_another_length_is_refused_and_takes_nobody_with_it(precision) -> None:
    engine = engine_of(recurrent(), precision)
    found = engine_of(recurrent("elman"), precision).answer(Request.read([2, 3]))[1]
    good = Request(Purpose.PREDICT, [2])
    for packed in (found.state.packed, b"", b"\0" * (engine.shape.state_bytes + 1)):
        bad = Request(Purpose.PREDICT, [2], replace(found.state, packed=packed))
        with pytest.raises(StateError, match=f"has {engine.shape.state_bytes} bytes"):
            add(engine, [good, bad, good])
        assert nothing_was_added(engine)
    assert len(serve(engine, [good])) == 1


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("token_id", [VOCABULARY, -1, 2**31 - 1])
def test_a_token_outside_the_vocabulary_is_refused_in_texts_and_in_states(
    token_id, purpose, precision
) -> None:
    engine = engine_of(recurrent(), precision)
    good = Request(purpose, [2, 3])
    read = engine.answer(Request.read([2, 3]))[1]
    for bad in (
        Request(purpose, [2, token_id]),
        Request(purpose, [token_id, 2]),
        Request(purpose, [2], read.state.extended(token_id)),
        Request(purpose, [2], replace(read.state, unread=(token_id,))),
    ):
        with pytest.raises(InvalidParameterError, match="token ids go from 0 to 49"):
            add(engine, [good, bad])
        assert nothing_was_added(engine)


@pytest.mark.parametrize("token_id", [0, VOCABULARY - 1])
def test_the_first_and_the_last_token_of_the_vocabulary_are_read(token_id) -> None:
    engine = engine_of(recurrent())
    read = engine.answer(Request.read([2]))[1]
    state = read.state.extended(token_id)
    resumed = engine.answer(Request(Purpose.PREDICT, [], state))[1]
    whole = engine.answer(Request(Purpose.PREDICT, [2, token_id]))[1]
    assert content([resumed]) == content([whole])


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_scores_and_predictions_are_those_of_the_model_itself(precision) -> None:
    model = recurrent()
    ids = [random.Random(3).randrange(2, VOCABULARY) for _ in range(21)]
    score = Request(Purpose.SCORE, ids, want=Want(top=3, ranks=True))
    predict = Request(Purpose.PREDICT, ids, want=Want(top=4))
    (scored,), (predicted,) = serve(engine_of(model, precision), [score, predict])
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[BOUNDARY, *ids]]), model.zero_state(1))
    log_probs_TV = logits[0].log_softmax(1).numpy()
    expected = log_probs_TV[np.arange(21), ids]
    tolerance = 1e-5 if precision == "fp32" else 0.02
    assert np.abs(np.array(scored.logprobs) - expected).max() < tolerance
    assert np.abs(predicted.log_probs - log_probs_TV[-1]).max() < tolerance
    probabilities = np.exp(predicted.log_probs.astype(float))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert predicted.entropy == pytest.approx(-(probabilities @ predicted.log_probs), rel=1e-5)
    order = np.argsort(-predicted.log_probs, kind="stable")[:4]
    assert predicted.top == [(int(i), float(predicted.log_probs[i])) for i in order]
    if precision == "fp32":
        ranks = (log_probs_TV[:-1] > expected[:, None]).sum(axis=1) + 1
        assert scored.ranks == ranks.tolist()
        assert [[t for t, _ in top] for top in scored.top] == np.argsort(
            -log_probs_TV[:-1], axis=1, kind="stable"
        )[:, :3].tolist()


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_among_candidates_probabilities_are_shared_out_anew(precision) -> None:
    engine = engine_of(recurrent(), precision)
    ids, candidates = [4, 9, 7], [7, 30, 9, 4]
    whole = engine.answer(Request(Purpose.PREDICT, ids))[1].log_probs.astype(float)
    found = engine.answer(Request(Purpose.PREDICT, ids, candidates=candidates))[1]
    expected = whole[candidates] - np.log(np.exp(whole[candidates]).sum())
    assert found.log_probs == pytest.approx(expected, abs=1e-5)
    scored = engine.answer(Request(Purpose.SCORE, ids, candidates=candidates))[1]
    for place, token_id in enumerate(ids):
        row = engine.answer(Request(Purpose.PREDICT, ids[:place]))[1].log_probs.astype(float)
        among = row[token_id] - np.log(np.exp(row[candidates]).sum())
        assert scored.logprobs[place] == pytest.approx(among, abs=1e-5)


def test_what_is_written_has_the_log_probabilities_that_scoring_gives() -> None:
    engine = engine_of(recurrent())
    sampling = SamplingParams(seed=3, max_tokens=15, ignore_eos=True, repetition_penalty=1.5)
    want = Want(top=2)
    writing = Request(Purpose.GENERATE, [4, 5], sampling=sampling, want=want)
    written = engine.answer(writing)[1]
    scored = engine.answer(Request(Purpose.SCORE, [4, 5, *written.token_ids], want=want))[1]
    assert scored.logprobs[2:] == written.logprobs
    assert scored.top[2:] == written.top


def test_only_what_is_wanted_is_reported() -> None:
    engine = engine_of(recurrent())
    ids = [2, 3, 4]
    plain = engine.answer(Request(Purpose.SCORE, ids))[1]
    assert (plain.ranks, plain.top, plain.state, plain.hidden) == ([], [], None, None)
    asked = engine.answer(
        Request(Purpose.SCORE, ids, want=Want(top=2, ranks=True, state=True, hidden=True))
    )[1]
    assert asked.logprobs == plain.logprobs
    assert [len(top) for top in asked.top] == [2] * 3
    assert len(asked.ranks) == len(asked.hidden) == 3
    assert asked.state.unread == (4,)
    short = engine.answer(Request(Purpose.PREDICT, ids, want=Want(top=2, distribution=False)))[1]
    whole = engine.answer(Request(Purpose.PREDICT, ids, want=Want(top=2)))[1]
    assert short.log_probs is None
    assert short.top == whole.top


def test_the_hidden_states_of_a_read_are_those_of_a_score() -> None:
    engine = engine_of(recurrent())
    ids = [random.Random(2).randrange(2, VOCABULARY) for _ in range(12)]
    read = engine.answer(Request.read(ids, hidden=True))[1]
    scored = engine.answer(Request(Purpose.SCORE, [*ids, 3], want=Want(hidden=True)))[1]
    assert read.hidden.shape == (13, engine.shape.hidden_size)
    assert (read.hidden == scored.hidden).all()
    assert len(np.unique(read.hidden, axis=0)) == 13


def test_a_long_prompt_does_not_hold_up_a_running_stream() -> None:
    engine = engine_of(recurrent())
    sampling = SamplingParams(max_tokens=50, ignore_eos=True)
    (stream,) = add(engine, [Request(Purpose.GENERATE, [2], sampling=sampling, is_streamed=True)])
    engine.admit()
    engine.step()
    add(engine, [Request(Purpose.PREDICT, [3] * 5000) for _ in range(4)])
    engine.admit()
    for _ in range(20):
        heard = [sequence for sequence, _ in engine.step()]
        assert stream in heard, "a step is one token of each, so the stream advances at every one"


def test_a_stream_that_is_ahead_of_its_reader_waits_and_the_others_go_on() -> None:
    engine = engine_of(recurrent())
    sampling = SamplingParams(max_tokens=500, ignore_eos=True)
    streamed = Request(Purpose.GENERATE, [2], sampling=sampling, is_streamed=True)
    stream, other = add(engine, [streamed, Request(Purpose.GENERATE, [3], sampling=sampling)])
    engine.admit()
    stream.is_reader_ready = False
    while other.is_running:
        engine.step()
    assert 32 <= stream.num_unsent <= 64
    assert not engine.has_work
    assert engine.step() == []
    stream.is_reader_ready = True
    assert engine.has_work
    ((_, written),) = engine.step()
    assert len(written.token_ids) > 32


def test_only_what_is_written_is_streamed() -> None:
    engine = engine_of(recurrent())
    for purpose in (Purpose.SCORE, Purpose.PREDICT):
        request = Request(purpose, [2, 3, 4, 5], want=Want(top=1, state=True))
        (whole,) = serve(engine, [request])
        (streamed,) = serve(engine, [replace(request, is_streamed=True)])
        assert content(streamed) == content(whole)


def test_callers_take_turns_at_the_slots() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=100))
    greedy = add(engine, [Request(Purpose.PREDICT, [2, 3])] * 10, caller="greedy")
    (modest,) = add(engine, [Request(Purpose.PREDICT, [4])], caller="modest")
    order = []
    while engine.scheduler.num_taken:
        engine.admit()
        order += [sequence for sequence, result in engine.step() if result.finish_reason]
    assert order.index(modest) == 1
    assert [sequence for sequence in order if sequence is not modest] == greedy


def test_a_full_queue_refuses_all_or_nothing() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=2))
    request = Request(Purpose.PREDICT, [2])
    with pytest.raises(RequestTooLargeError, match="room for 3"):
        add(engine, [request] * 4)
    assert not engine.scheduler.num_taken
    add(engine, [request] * 2)
    with pytest.raises(QueueFullError, match="come back later"):
        add(engine, [request] * 2)
    add(engine, [request])


def test_what_was_admitted_enters_a_full_queue_and_is_answered() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=1))
    request = Request(Purpose.PREDICT, [2])
    waiting = add(engine, [request] * 2)
    admitted = add(engine, [request] * 4, is_admitted=True)
    with pytest.raises(QueueFullError):
        add(engine, [request])
    results = finish(engine, [*waiting, *admitted])
    assert len({content(each)[0] for each in results}) == 1
    assert nothing_was_added(engine)
    add(engine, [request] * 2)


def test_removing_frees_the_slot_and_the_place_in_the_queue() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1, max_queue=2))
    first, second, third = add(engine, [Request(Purpose.PREDICT, [2] * 100)] * 3)
    engine.admit()
    engine.remove(second)
    engine.remove(first)
    engine.admit()
    assert engine.scheduler.running == [third]
    assert engine.scheduler.num_waiting == 0


@pytest.mark.parametrize(("make_model", "precision"), MODELS)
def test_not_a_byte_depends_on_time_slices(make_model, precision) -> None:
    model = make_model()
    config = EngineConfig(**{**LIMITS, "max_slots": 2}, time_slice=5, max_steps=3)
    requests = [draw_request(PURPOSES[n % 3], n) for n in range(20)]
    engine = engine_of(model, precision, config)
    sequences: list[Sequence] = []
    for n, request in enumerate(requests):
        sequences += add(engine, [request], caller="greedy" if n < 12 else str(n % 3))
    together = finish(engine, sequences)
    for request, results in zip(requests, together, strict=True):
        (expected,) = serve(engine_of(model, precision), [replace(request, is_streamed=False)])
        assert content(results) == content(expected), request


def test_who_waits_gets_a_slot_after_a_time_slice_of_the_greediest() -> None:
    config = EngineConfig(max_slots=4, time_slice=20, max_steps=8)
    engine = engine_of(recurrent(), config=config)
    add(engine, [Request(Purpose.GENERATE, [3], sampling=ENDLESS)] * 8, caller="greedy")
    engine.admit()
    for _ in range(10):
        engine.step()
        engine.admit()
    (late,) = add(engine, [Request(Purpose.PREDICT, [4])], caller="late")
    num_steps = 0
    while not any(sequence is late for sequence, _ in engine.step()):
        engine.admit()
        num_steps += 1
    assert num_steps * config.max_steps <= config.time_slice + 2 * config.max_steps
    assert all(sequence.caller == "greedy" for sequence in engine.scheduler.running)


def test_a_caller_alone_keeps_its_slots_to_the_end() -> None:
    config = EngineConfig(max_slots=2, time_slice=1, max_steps=1)
    engine = engine_of(recurrent(), config=config)
    sampling = SamplingParams(max_tokens=30, ignore_eos=True)
    texts = add(engine, [Request(Purpose.GENERATE, [3], sampling=sampling)] * 4)
    ended = []
    while engine.scheduler.num_taken:
        engine.admit()
        ended += [sequence for sequence, _ in engine.step()]
        assert all(text.swapped_out is None for text in texts)
    assert ended == texts


def test_a_text_whose_reader_does_not_read_makes_room_for_who_waits() -> None:
    config = EngineConfig(max_slots=1)
    engine = engine_of(recurrent(), config=config)
    sampling = SamplingParams(seed=5, max_tokens=100, ignore_eos=True)
    request = Request(Purpose.GENERATE, [3], sampling=sampling, is_streamed=True)
    (left,) = add(engine, [request])
    engine.admit()
    results = [result for _, result in engine.step()]
    left.is_reader_ready = False
    while not left.is_ahead:
        engine.step()
    assert not engine.has_work
    (other,) = add(engine, [Request(Purpose.PREDICT, [4])])
    assert engine.has_work
    engine.admit()
    assert [sequence for sequence, _ in engine.step()] == [other]
    assert engine.scheduler.num_taken
    assert not engine.has_work
    left.is_reader_ready = True
    assert engine.has_work
    while engine.scheduler.num_taken:
        engine.admit()
        results += [result for _, result in engine.step()]
    (whole,) = serve(engine_of(recurrent(), config=config), [replace(request, is_streamed=False)])
    assert content(results) == content(whole)


def test_a_swapped_out_text_that_is_left_takes_no_slot_with_it() -> None:
    engine = engine_of(recurrent(), config=EngineConfig(max_slots=1))
    (left,) = add(engine, [Request(Purpose.GENERATE, [3], sampling=ENDLESS, is_streamed=True)])
    engine.admit()
    left.is_reader_ready = False
    while not left.is_ahead:
        engine.step()
    (other,) = add(engine, [Request(Purpose.PREDICT, [4] * 500)])
    engine.admit()
    engine.remove(left)
    assert engine.scheduler.running == [other]
    assert engine.free_slots == []
    engine.remove(other)
    assert engine.free_slots == [0]
    assert nothing_was_added(engine)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_an_interrupt_ends_a_call_after_its_step(precision) -> None:
    engine = engine_of(recurrent(), precision)
    (sequence,) = add(engine, [Request(Purpose.GENERATE, [3], sampling=ENDLESS)])
    engine.admit()
    engine.step()
    before = sequence.native.struct.num_read
    assert before == CONFIG.max_steps
    engine.interrupt.value = 1
    engine.step()
    assert sequence.native.struct.num_read == before + 1
    engine.interrupt.value = 0
    engine.step()
    assert sequence.native.struct.num_read == before + 1 + CONFIG.max_steps


def test_an_answer_is_the_last_result_with_the_sequence_that_ran() -> None:
    engine = engine_of(recurrent())
    request = Request(Purpose.GENERATE, [3], sampling=SamplingParams(max_tokens=5))
    sequence, result = engine.answer(request, "me")
    assert result.finish_reason
    assert (sequence.request, sequence.caller) == (request, "me")
    assert (
        result.token_ids == sequence.native.tokens[2 : sequence.native.struct.num_tokens].tolist()
    )
    assert nothing_was_added(engine)


@pytest.mark.parametrize("num_requests", [1, 3])
def test_nothing_is_scored_after_the_end_of_a_text(num_requests) -> None:
    engine = engine_of(recurrent())
    ended = TextState(bytes(engine.shape.state_bytes), 4, ())
    good = [Request(Purpose.SCORE, [3, 4])] * (num_requests - 1)
    with pytest.raises(EndedTextError):
        add(engine, [*good, Request(Purpose.SCORE, [3, 4], ended)])
    assert nothing_was_added(engine)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_network_that_overflows_still_writes_tokens_that_there_are(temperature) -> None:
    model = recurrent("elman")
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    sampling = SamplingParams(
        seed=1, max_tokens=9, temperature=temperature, logit_bias=((0, -math.inf),)
    )
    engine = engine_of(model, "fp32")
    written = engine.answer(Request(Purpose.GENERATE, [3], sampling=sampling))[1]
    assert all(0 < token < VOCABULARY for token in written.token_ids)
    scored = engine.answer(Request(Purpose.SCORE, [3, 4]))[1]
    assert all(math.isfinite(logprob) for logprob in scored.logprobs)


def test_a_search_is_of_as_many_slots_as_hypotheses_and_of_twice_as_many_branches() -> None:
    engine = engine_of(recurrent())
    request = Request(
        Purpose.BRANCH, [3], sampling=SamplingParams(max_tokens=3), beams=BeamParams(3)
    )
    (root,) = add(engine, [request])
    rows: list[NativeSequence] = [row.native for row in (root, *root.siblings)]
    assert [native.struct.num_branches for native in rows] == [6, 6, 6]
    assert engine.scheduler.num_taken == 3
    engine.admit()
    assert len(engine.free_slots) == engine.num_slots / 2
    ((found,),) = finish(engine, [root])
    assert len(found.hypotheses) == 3
    assert len(engine.free_slots) == engine.num_slots
