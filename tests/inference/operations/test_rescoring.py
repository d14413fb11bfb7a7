"""Hypotheses in the order in which they read best: what is asked for it, and how the parts add up."""

import math

import pytest

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request
from refrain.inference.loading import load_engine
from refrain.inference.operations.rescoring import Hypothesis, Rescored, RescoringParams, rescore
from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.structures import Purpose
from refrain.models.text.tokenizer import Encoding
from tests.support.by_hand import read_state, replies, run_by_hand, scores, state, text_model
from tests.support.reference import hidden_and_log_probs

MODEL = text_model()
TOKENIZER = MODEL.tokenizer
CAT, SAT = TOKENIZER.encode(" cat sat").ids
EOS = TOKENIZER.eos_id


def encoded(*texts: str, given: float = 0.0) -> list[tuple[Hypothesis, Encoding]]:
    return [(Hypothesis(text, given), TOKENIZER.encode(text)) for text in texts]


def asked_of(hypotheses, params=None, *, context=(), start=None) -> list[Request]:
    """What is asked for hypotheses, whose tokens all have the same likelihood."""

    def reply(request):
        if request.purpose is Purpose.SCORE:
            return scores(*[-1.0] * len(request.token_ids))
        return read_state(9)

    operation = rescore(MODEL, context, hypotheses, params or RescoringParams(), start)
    return run_by_hand(operation, reply).requests


def test_the_context_is_read_once_and_every_hypothesis_goes_on_from_it() -> None:
    context = TOKENIZER.encode("The old").ids
    reading, *scoring = asked_of(encoded(" cat", " cat sat"), context=context, start=state(2))
    assert reading == Request.read(context, state(2))
    assert scoring == [
        Request(Purpose.SCORE, [CAT], state(9), candidates=[]),
        Request(Purpose.SCORE, [CAT, SAT], state(9), candidates=[]),
    ]


def test_without_a_context_hypotheses_go_on_from_what_is_given_or_begin_a_text() -> None:
    (request,) = asked_of(encoded(" cat"), start=state(2))
    assert request.start == state(2)
    (request,) = asked_of(encoded("The"))
    assert request.start is None


def test_hypotheses_are_scored_side_by_side() -> None:
    gathered = next(rescore(MODEL, [], encoded("The", "cat"), RescoringParams()))
    assert [next(each).purpose for each in gathered.operations] == [Purpose.SCORE] * 2


def test_the_likeliest_comes_first_and_the_parts_add_up() -> None:
    hypotheses = [
        (Hypothesis("The cat", 0.5), TOKENIZER.encode("The cat")),
        (Hypothesis("The zebra", 2.0), TOKENIZER.encode("The zebra")),
    ]
    reply = replies(scores(-1.0, -2.0), scores(-1.0, -0.5))
    found = run_by_hand(rescore(MODEL, [], hypotheses, RescoringParams(weight=0.5)), reply).answer
    assert found == [
        Rescored("The zebra", 2.0 + 0.5 * -1.5, 2.0, -1.5, 2, 1),
        Rescored("The cat", 0.5 + 0.5 * -3.0, 0.5, -3.0, 2, 0),
    ]


def test_equal_ones_stay_in_their_order() -> None:
    reply = replies(*[scores(-1.0)] * 4)
    hypotheses = encoded("The", "cat", "sat", "mat")
    found = run_by_hand(rescore(MODEL, [], hypotheses, RescoringParams()), reply).answer
    assert [each.text for each in found] == ["The", "cat", "sat", "mat"]


def test_a_mean_favours_no_short_hypothesis() -> None:
    reply = replies(scores(-1.5), scores(-1.0, -1.0, -1.0))
    hypotheses = encoded("The", "The cat sat", given=1.0)
    params = RescoringParams(weight=2.0, length_normalize=True)
    long, short = run_by_hand(rescore(MODEL, [], hypotheses, params), reply).answer
    assert (long.text, long.total, long.log_likelihood) == ("The cat sat", 1 - 2 * 1.0, -3.0)
    assert (short.text, short.total) == ("The", 1 - 2 * 1.5)


def test_the_end_counts_where_that_is_wanted() -> None:
    (request,) = asked_of(encoded("The"), RescoringParams(eos=True))
    assert request.token_ids[-1] == EOS
    reply = replies(scores(-1.0, -4.0))
    (found,) = run_by_hand(
        rescore(MODEL, [], encoded("The"), RescoringParams(eos=True)), reply
    ).answer
    assert (found.log_likelihood, found.num_tokens) == (-5.0, 2)


def test_a_hypothesis_that_begins_no_text_is_told_without_its_first_token() -> None:
    params = RescoringParams(bos=False, length_normalize=True)
    reply = replies(scores(-8.0, -1.0, -2.0))
    (found,) = run_by_hand(rescore(MODEL, [], encoded("The cat sat"), params), reply).answer
    assert (found.log_likelihood, found.num_tokens, found.total) == (-3.0, 2, -1.5)
    (inside,) = run_by_hand(
        rescore(MODEL, [], encoded(" cat"), params, state(2)), replies(scores(-8.0))
    ).answer
    assert inside.log_likelihood == -8.0


def test_a_hypothesis_of_nothing_asks_nothing_and_keeps_its_own_score() -> None:
    params = RescoringParams(length_normalize=True)
    heard = run_by_hand(rescore(MODEL, [], encoded("", given=-0.25), params), replies())
    assert heard.requests == []
    assert heard.answer == [Rescored("", -0.25, -0.25, 0.0, 0, 0)]
    assert run_by_hand(rescore(MODEL, [], [], params), replies()).answer == []


def test_words_among_themselves_are_those_of_all_hypotheses_once_each() -> None:
    params = RescoringParams(normalize="hypotheses")
    hypotheses = encoded(" cat sat", " cat")
    requests = asked_of(hypotheses, params)
    assert [[*each.candidates] for each in requests] == [sorted([CAT, SAT])] * 2
    with_end = asked_of(hypotheses, RescoringParams(normalize="hypotheses", eos=True))
    assert [[*each.candidates] for each in with_end] == [sorted([CAT, SAT, EOS])] * 2


def test_what_is_said_of_a_hypothesis_has_the_names_of_the_route() -> None:
    assert RescoringParams().as_json() == {}
    params = RescoringParams(0.5, length_normalize=True, bos=False, normalize="hypotheses")
    assert params.as_json() == {
        "weight": 0.5,
        "length_normalize": True,
        "bos": False,
        "normalize": "hypotheses",
    }
    assert Hypothesis("The").as_json() == {"text": "The"}
    assert Rescored("The", -1.0, 0.0, -1.0, 1, 0).as_json() == {
        "text": "The",
        "total": -1.0,
        "given": 0.0,
        "log_likelihood": -1.0,
        "num_tokens": 1,
        "num_unknown": 0,
    }


def test_the_figures_are_those_of_the_network_itself(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    model, engine = load_engine(checkpoint, EngineConfig(max_slots=4), "fp32")
    driver, tokenizer = BlockingDriver(engine), checkpoint.tokenizer
    context = tokenizer.encode("The old").ids
    texts = [" cat sat", " dog", " cat saw it"]
    hypotheses = [(Hypothesis(text), tokenizer.encode(text)) for text in texts]
    words = sorted({i for _, encoding in hypotheses for i in encoding.ids} | {tokenizer.eos_id})
    for normalize in ("vocabulary", "hypotheses"):
        params = RescoringParams(eos=True, normalize=normalize)
        found = driver.run(rescore(model, context, hypotheses, params))
        by_text = {each.text: each.log_likelihood for each in found}
        assert [each.total for each in found] == sorted(by_text.values(), reverse=True)
        for text, encoding in zip(texts, (each for _, each in hypotheses), strict=True):
            ids = [*encoding.ids, tokenizer.eos_id]
            rows = hidden_and_log_probs(checkpoint, [*context, *ids])[1][len(context) :]
            if normalize == "hypotheses":
                others = [i for i in range(rows.shape[1]) if i not in words]
                rows[:, others] = -math.inf
                rows = rows.log_softmax(-1)
            expected = sum(rows[place, token_id].item() for place, token_id in enumerate(ids))
            assert by_text[text] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("weight", [101.0, -101.0, float("nan")])
def test_a_weight_out_of_bounds_is_refused(weight) -> None:
    with pytest.raises(InvalidParameterError, match="weight must be at least -100"):
        RescoringParams(weight)
