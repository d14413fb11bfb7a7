"""Beam search: what a plain search by the model itself finds, whoever shares the slots."""

import itertools
import math

import numpy as np
import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import BeamParams, Request, Searched
from refrain.inference.engine.sequence import Sequence
from refrain.inference.errors import QueueFullError, RequestTooLargeError
from refrain.inference.runners.precision import make_runner
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.networks.language_model import LanguageModel
from tests.support.engines import BOUNDARY, add, recurrent


def model_of(vocab_size: int, cell: str = "lstm") -> LanguageModel:
    model = recurrent(cell, vocab_size, seed=4)
    for parameter in model.parameters():  # far from uniform, so that hypotheses differ
        parameter.data *= 3
    return model


def engine_of(model, precision="int8", **limits) -> Engine:
    config = EngineConfig(**{"max_slots": 16, "row_tile": 4, **limits})
    return Engine(make_runner(model, precision, config, eos_id=BOUNDARY)[1], config)


def add_search(engine, ids, beams, *, params=None, want=None, caller="") -> Sequence:
    sampling = SamplingParams(**{"max_tokens": 6, **(params or {})})
    request = Request(Purpose.BRANCH, ids, sampling=sampling, want=want or Want(), beams=beams)
    root = engine.sequence(request, caller)
    engine.add([root])
    return root


def work(engine) -> dict:
    found = {}
    while engine.scheduler.num_taken:
        engine.admit()
        found.update(engine.step())
    return found


def search(engine, ids, beams, *, params=None, want=None) -> Searched:
    root = add_search(engine, ids, beams, params=params, want=want)
    return work(engine)[root]


@torch.inference_mode()
def log_probs_after(model, ids) -> torch.Tensor:
    logits, _ = model(torch.tensor([[BOUNDARY, *ids]]), model.zero_state(1))
    return logits[0, -1].log_softmax(0).double()


def reference(model, prompt, num_beams, length_penalty, max_tokens):
    """The textbook's search, which reads every text anew from its beginning."""
    live, ended = [(0.0, [])], []
    for length in range(1, max_tokens + 1):
        found = [
            (score + log_prob, [*text, token])
            for score, text in live
            for token, log_prob in enumerate(log_probs_after(model, prompt + text).tolist())
        ]
        found.sort(key=lambda pair: -pair[0])
        live = []
        for rank, (score, text) in enumerate(found[: 2 * num_beams]):
            if text[-1] != BOUNDARY:
                live.append((score, text))
            elif rank < num_beams:
                ended.append((score / length**length_penalty, text))
            if len(live) == num_beams:
                break
        ended = sorted(ended, key=lambda pair: -pair[0])[:num_beams]
        if len(ended) == num_beams and live[0][0] / length**length_penalty <= ended[-1][0]:
            return ended
    ended += [(score / max_tokens**length_penalty, text) for score, text in live]
    return sorted(ended, key=lambda pair: -pair[0])[:num_beams]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("num_beams", "length_penalty"), [(2, 1.0), (3, 0.0), (5, 2.0)])
def test_a_search_finds_what_the_textbook_finds(cell, num_beams, length_penalty) -> None:
    model = model_of(30, cell)
    expected = reference(model, [5, 9], num_beams, length_penalty, 6)
    found = search(
        engine_of(model, "fp32"), [5, 9], BeamParams(num_beams, length_penalty), want=Want(top=2)
    )
    assert [each.token_ids for each in found.hypotheses] == [text for _, text in expected]
    for hypothesis, (score, text) in zip(found.hypotheses, expected, strict=True):
        assert hypothesis.score == pytest.approx(score, abs=1e-4)
        ended = hypothesis.finish_reason == "stop"
        assert ended == (text[-1] == BOUNDARY)
        for place, (logprob, top) in enumerate(
            zip(hypothesis.logprobs, hypothesis.top, strict=True)
        ):
            log_probs = log_probs_after(model, [5, 9, *text[:place]])
            assert logprob == pytest.approx(log_probs[text[place]].item(), abs=1e-4)
            assert [token for token, _ in top] == log_probs.topk(2).indices.tolist()


@pytest.mark.parametrize(("num_beams", "length_penalty"), [(2, 1.0), (3, 0.0), (4, 2.0)])
def test_hypotheses_end_where_the_textbook_s_do(num_beams, length_penalty) -> None:
    model, reasons = model_of(30), set()
    for bias in (1.5, 3.0):
        model.output_bias.data[BOUNDARY] = bias
        expected = reference(model, [5, 9], num_beams, length_penalty, 6)
        params = BeamParams(num_beams, length_penalty)
        found = search(engine_of(model, "fp32"), [5, 9], params).hypotheses
        assert [each.token_ids for each in found] == [text for _, text in expected]
        for each, (score, _) in zip(found, expected, strict=True):
            assert each.score == pytest.approx(score, abs=1e-4)
            assert (each.finish_reason == "stop") == (each.token_ids[-1] == BOUNDARY)
            assert BOUNDARY not in each.token_ids[:-1]
            reasons.add(each.finish_reason)
    assert "stop" in reasons


def test_a_search_as_wide_as_all_texts_finds_the_likeliest_of_them() -> None:
    model = model_of(5)
    texts = [[*pair] for pair in itertools.product([0, 2, 3, 4], repeat=2)]
    scores = {}
    for text in texts:
        parts = [log_probs_after(model, text[:n])[text[n]].item() for n in range(2)]
        scores[tuple(text)] = math.fsum(parts)
    params = {"max_tokens": 2, "ignore_eos": True}
    found = search(engine_of(model, "fp32"), [], BeamParams(16, 0.0), params=params)
    ranked = sorted(scores, key=lambda text: -scores[text])
    assert [tuple(each.token_ids) for each in found.hypotheses] == ranked


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_searches_and_other_texts_side_by_side_find_what_each_finds_alone(precision) -> None:
    model = model_of(30)
    asked = [([5], BeamParams(4)), ([6, 7, 8], BeamParams(3, 0.5)), ([], BeamParams(2))]
    alone = [search(engine_of(model, precision), *each) for each in asked]
    engine = engine_of(model, precision, max_slots=8)
    roots = [add_search(engine, *each) for each in asked]
    params = SamplingParams(seed=3, max_tokens=9)
    add(engine, [Request(Purpose.GENERATE, [4], sampling=params)])
    found = work(engine)
    assert [found[root] for root in roots] == alone
    assert len(engine.free_slots) == 8


def test_bans_penalties_and_allowed_tokens_hold_in_a_search() -> None:
    model = model_of(30)
    plain = search(engine_of(model), [5], BeamParams(4))
    banned = plain.hypotheses[0].token_ids[0]
    params = {"logit_bias": ((banned, -math.inf),)}
    found = search(engine_of(model), [5], BeamParams(4), params=params)
    assert all(banned not in each.token_ids for each in found.hypotheses)
    params = {"repetition_penalty": 50.0, "ignore_eos": True}
    found = search(engine_of(model), [5], BeamParams(4), params=params)
    best = found.hypotheses[0].token_ids
    assert len(set(best)) == len(best)
    allowed = np.array([0b1110010], np.uint64)
    found = search(engine_of(model), [5], BeamParams(4), params={"allowed": allowed})
    assert {token for each in found.hypotheses for token in each.token_ids} <= {1, 4, 5, 6}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_search_from_a_state_finds_what_a_search_of_the_whole_text_finds(precision) -> None:
    model = model_of(30)
    beams, want = BeamParams(3), Want(top=2, state=True)
    whole = search(engine_of(model, precision), [5, 9, 7, 8], beams, want=want)
    engine = engine_of(model, precision)
    state = engine.answer(Request.read([5, 9]))[1].state
    request = Request(
        Purpose.BRANCH, [7, 8], state, SamplingParams(max_tokens=6), want, beams=beams
    )
    assert engine.answer(request)[1] == whole


def test_a_search_whose_prompt_was_read_before_finds_the_same() -> None:
    model, prompt = model_of(30), [*range(2, 20)]
    expected = search(engine_of(model), prompt, BeamParams(3), want=Want(state=True))
    engine = engine_of(model, prefix_cache_bytes=100_000)
    for _ in range(2):
        assert search(engine, prompt, BeamParams(3), want=Want(state=True)) == expected
    assert engine.prefix_cache.num_hits == 1


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_state_of_a_hypothesis_goes_on_as_its_text_would(precision) -> None:
    model = model_of(30)
    params = {"ignore_eos": True}
    beams = BeamParams(3)
    found = search(engine_of(model, precision), [5], beams, want=Want(state=True), params=params)
    for each in found.hypotheses:
        after = engine_of(model, precision)
        whole = engine_of(model, precision)
        resumed = Request(Purpose.PREDICT, [], each.state, want=Want(top=3))
        again = Request(Purpose.PREDICT, [5, *each.token_ids], want=Want(top=3))
        add(after, [resumed])
        add(whole, [again])
        (first,), (second,) = work(after).values(), work(whole).values()
        assert first.top == second.top


def test_a_search_waits_for_its_slots_and_keeps_its_turn() -> None:
    model = model_of(30)
    engine = engine_of(model, max_slots=4)
    params = SamplingParams(max_tokens=3, ignore_eos=True)

    def add_text(number: int) -> None:
        add(engine, [Request(Purpose.GENERATE, [4], sampling=params)], f"caller {number}")

    for number in range(2):
        add_text(number)
    root = add_search(engine, [5], BeamParams(4), caller="searcher")
    for number in range(2, 6):
        add_text(number)
    order = list(work(engine))
    assert order.index(root) == 2


def test_a_search_that_is_left_frees_every_slot() -> None:
    engine = engine_of(model_of(30), max_slots=4)
    root = add_search(engine, [5], BeamParams(4))
    engine.admit()
    engine.step()
    engine.step()
    engine.remove(root)
    assert not engine.scheduler.num_taken
    assert sorted(engine.free_slots) == [0, 1, 2, 3]


def test_a_search_of_more_hypotheses_than_slots_is_refused() -> None:
    engine = engine_of(model_of(30), max_slots=4, max_queue=8)
    with pytest.raises(RequestTooLargeError, match="5 hypotheses"):
        add_search(engine, [5], BeamParams(5))
    for _ in range(3):
        add_search(engine, [5], BeamParams(4))
    with pytest.raises(QueueFullError):
        add_search(engine, [5], BeamParams(2))
