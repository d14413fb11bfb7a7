"""How likely a text is: what is asked for it, and the figures against those of torch and of plain sums."""

import math

import numpy as np
import pytest

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request, Scored
from refrain.inference.loading import load_engine
from refrain.inference.operations import scoring
from refrain.inference.operations.scoring import (
    ScoreParams,
    TextScore,
    TokenScore,
    bits_per_character_of,
    perplexity_of,
    score_ids,
    score_text,
)
from refrain.models.checkpoint import load_checkpoint
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.text.tokenizer import Encoding
from tests.support.by_hand import replies, run_by_hand, scores, state, text_model
from tests.support.checkpoints import CHINESE
from tests.support.reference import hidden_and_log_probs, target_log_probs

MODEL = text_model()
TOKENIZER = MODEL.tokenizer
TEXT = "The cat sat"
ENCODING = TOKENIZER.encode(TEXT)


def cache() -> CacheView:
    return CacheView(np.zeros((4, 8), np.uint8), np.zeros(4, np.int32), 0, 0, 0.3, 0.0)


def likelihood_of(ids) -> list[float]:
    """What a made-up model gives each token, so that a text in strides can be told from one that lost some."""
    return [-0.25 * (token_id + 1) for token_id in ids]


def by_token(request: Request) -> Scored:
    """Score by the tokens alone, and go on from a state that counts them."""
    start = request.start.position if request.start else 0
    position = start + len(request.token_ids)
    ranks = [token_id % 7 + 1 for token_id in request.token_ids] if request.want.ranks else []
    return Scored(
        likelihood_of(request.token_ids),
        ranks,
        state=state(position) if request.want.state else None,
    )


def test_the_likelihood_is_the_sum_and_the_perplexity_the_mean_of_the_tokens() -> None:
    heard = run_by_hand(score_text(MODEL, TEXT, ENCODING), replies(scores(-1.0, -2.0, -4.5)))
    (request,) = heard.requests
    assert (request.purpose, [*request.token_ids]) == (Purpose.SCORE, ENCODING.ids)
    assert request.start is None
    assert not request.want.ranks
    assert not request.want.state
    assert heard.answer == TextScore(
        perplexity=pytest.approx(math.exp(7.5 / 3)),
        log_likelihood=-7.5,
        num_tokens=3,
        num_unknown=0,
        bits_per_character=pytest.approx(7.5 / math.log(2) / 11),
    )


def test_the_end_counts_as_one_more_token_where_it_is_wanted() -> None:
    params = ScoreParams(count_end=True, per_token=True)
    reply = replies(scores(-1.0, -2.0, -4.5, -0.5))
    heard = run_by_hand(score_text(MODEL, TEXT, ENCODING, params), reply)
    assert [*heard.requests[0].token_ids] == [*ENCODING.ids, TOKENIZER.eos_id]
    assert heard.answer.num_tokens == 4
    assert heard.answer.log_likelihood == -8.0
    assert heard.answer.tokens[-1] == TokenScore("<eos>", -0.5, 4, 11, 11)


def test_every_token_is_told_by_its_letters_and_place_and_an_unknown_one_is_marked() -> None:
    text = "The zebra sat"
    encoding = TOKENIZER.encode(text)
    heard = run_by_hand(
        score_text(MODEL, text, encoding, ScoreParams(per_token=True)),
        replies(scores(-1.0, -2.0, -3.0)),
    )
    assert heard.requests[0].want.ranks
    assert heard.answer.num_unknown == 1
    assert heard.answer.tokens == [
        TokenScore("The", -1.0, 1, 0, 3),
        TokenScore(" zebra", -2.0, 2, 3, 9, unknown=True),
        TokenScore(" sat", -3.0, 3, 9, 13),
    ]


def test_the_state_comes_along_only_where_it_is_wanted() -> None:
    found = scores(-1.0, -2.0, -3.0, state=state(4))
    without = run_by_hand(score_text(MODEL, TEXT, ENCODING), replies(found))
    assert without.answer.state is None
    params = ScoreParams(return_state=True)
    heard = run_by_hand(score_text(MODEL, TEXT, ENCODING, params, state(2)), replies(found))
    assert heard.requests[0].start == state(2)
    assert heard.requests[0].want.state
    assert heard.answer.state == state(4)
    assert "state" not in heard.answer.as_json()


def test_a_text_of_nothing_asks_nothing_and_has_no_perplexity() -> None:
    params = ScoreParams(per_token=True, return_state=True)
    heard = run_by_hand(score_text(MODEL, "", Encoding([], [], 0), params, state(2)), replies())
    assert heard.requests == []
    assert heard.answer == TextScore(None, 0.0, 0, 0, None, [], state(2))


def test_an_impossible_text_has_no_perplexity_for_no_number_is_as_large() -> None:
    assert perplexity_of(-math.inf, 3) is None
    assert perplexity_of(-701.0 * 3, 3) is None
    assert perplexity_of(-700.0 * 3, 3) == pytest.approx(math.exp(700))
    assert perplexity_of(0.0, 3) == 1.0
    assert perplexity_of(-1.0, 0) is None


def test_bits_a_character_are_halvings_of_the_probability() -> None:
    assert bits_per_character_of(math.log(1 / 2**12), 4) == pytest.approx(3.0)
    assert bits_per_character_of(-1.0, 0) is None


def test_a_score_as_json_has_the_names_of_the_route() -> None:
    plain = TextScore(2.0, -1.0, 3, 0, 0.5)
    assert plain.as_json() == {
        "perplexity": 2.0,
        "log_likelihood": -1.0,
        "num_tokens": 3,
        "num_unknown": 0,
        "bits_per_character": 0.5,
    }
    token = TokenScore("The", -1.0, 1, 0, 3)
    assert token.as_json() == {"token": "The", "logprob": -1.0, "rank": 1, "start": 0, "end": 3}
    assert ScoreParams(per_token=True).as_json() == {"per_token": True}


@pytest.mark.parametrize("num_tokens", [7, 8, 14, 20])
def test_a_long_text_goes_on_from_the_state_stride_by_stride(monkeypatch, num_tokens) -> None:
    monkeypatch.setattr(scoring, "STRIDE", 7)
    ids = [n % 13 for n in range(num_tokens)]
    heard = run_by_hand(score_ids(ids, state(100), Want(ranks=True, state=True)), by_token)
    strides = [[*request.token_ids] for request in heard.requests]
    assert strides == [ids[first : first + 7] for first in range(0, num_tokens, 7)]
    starts = [request.start.position for request in heard.requests]
    assert starts == [100 + 7 * n for n in range(len(strides))]
    assert [*heard.answer.logprobs] == likelihood_of(ids)
    assert [*heard.answer.ranks] == [token_id % 7 + 1 for token_id in ids]
    assert heard.answer.state == state(100 + num_tokens)


def test_ranks_that_are_not_wanted_are_not_computed_in_any_stride(monkeypatch) -> None:
    monkeypatch.setattr(scoring, "STRIDE", 7)
    heard = run_by_hand(score_ids([*range(20)]), by_token)
    assert not any(request.want.ranks for request in heard.requests)
    assert [*heard.answer.ranks] == []
    assert all(request.want.state for request in heard.requests)


@pytest.mark.parametrize(
    ("want", "view"),
    [(Want(hidden=True), None), (Want(top=3), None), (Want(state=True), cache())],
    ids=["hidden", "top", "cache"],
)
def test_what_reports_more_of_each_token_is_scored_in_one_go(monkeypatch, want, view) -> None:
    monkeypatch.setattr(scoring, "STRIDE", 7)
    heard = run_by_hand(score_ids([*range(20)], state(3), want, view), by_token)
    (request,) = heard.requests
    assert (len(request.token_ids), request.want, request.start) == (20, want, state(3))
    assert request.cache is view


def test_no_tokens_are_no_request_and_the_state_is_the_one_before() -> None:
    assert run_by_hand(score_ids([], state(3), Want(state=True)), replies()).answer.state == state(
        3
    )
    assert run_by_hand(score_ids([], state(3)), replies()).answer == Scored([], [])


@pytest.mark.parametrize(
    ("name", "text"), [("english", "The old cat sat on the zebra."), ("tang", CHINESE)]
)
@pytest.mark.parametrize("stride", [4, 16_384])
def test_the_figures_are_those_of_the_network_itself(
    checkpoints, monkeypatch, name, text, stride
) -> None:
    monkeypatch.setattr(scoring, "STRIDE", stride)
    checkpoint = load_checkpoint(checkpoints / name)
    model, engine = load_engine(checkpoint, EngineConfig(max_slots=2), "fp32")
    encoding = checkpoint.tokenizer.encode(text)
    params = ScoreParams(per_token=True, count_end=True)
    found = BlockingDriver(engine).run(score_text(model, text, encoding, params))
    ids = [*encoding.ids, checkpoint.tokenizer.eos_id]
    expected = target_log_probs(checkpoint, ids)
    assert [each.logprob for each in found.tokens] == pytest.approx(expected, abs=1e-4)
    assert found.log_likelihood == pytest.approx(sum(expected), abs=1e-3)
    assert found.perplexity == pytest.approx(math.exp(-np.mean(expected)), rel=1e-4)
    bits = -sum(expected) / math.log(2) / len(text)
    assert found.bits_per_character == pytest.approx(bits, rel=1e-4)
    log_probs_NV = hidden_and_log_probs(checkpoint, ids)[1]
    ranks = [
        1 + int((row > row[token_id]).sum())
        for row, token_id in zip(log_probs_NV[:-1], ids, strict=True)
    ]
    assert [each.rank for each in found.tokens] == ranks
