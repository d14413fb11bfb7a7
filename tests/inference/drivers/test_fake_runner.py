"""The runner made by hand does what the engine asks of any: else what is tested with it would prove nothing."""

import numpy as np
import pytest

from refrain.inference.engine.request import BeamParams, Request
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from tests.support.engines import serve
from tests.support.fake_runner import BOUNDARY, fake_engine, fake_log_probs
from tests.support.token_operations import up_to

ONE_TOKEN = SamplingParams(max_tokens=1, ignore_eos=True)
TEXT = [3, 4, 5, 6, 7, 8, 9, 10, 11]


def only(request: Request, **options):
    """The only result of a request."""
    ((result,),) = serve(fake_engine(**options), [request])
    return result


def test_scores_and_predictions_are_those_of_the_formula() -> None:
    rows = [fake_log_probs([BOUNDARY, *TEXT[:n]]) for n in range(len(TEXT) + 1)]
    score = only(Request(Purpose.SCORE, TEXT, want=Want(ranks=True, top=1)))
    expected = [row[token_id] for row, token_id in zip(rows, TEXT, strict=False)]
    assert score.logprobs == pytest.approx(expected, rel=1e-6)
    ranks = [1 + (row > row[token]).sum() for row, token in zip(rows, TEXT, strict=False)]
    assert score.ranks == ranks
    assert [token_id for ((token_id, _),) in score.top] == [row.argmax() for row in rows[:-1]]
    found = only(Request(Purpose.PREDICT, TEXT))
    assert found.log_probs == pytest.approx(rows[-1], rel=1e-6)
    assert np.exp(found.log_probs).sum() == pytest.approx(1)
    assert found.entropy == pytest.approx(-(np.exp(rows[-1]) * rows[-1]).sum())


def test_among_candidates_probabilities_are_one_together() -> None:
    found = only(Request(Purpose.PREDICT, TEXT, candidates=(3, 7, 9)))
    row = fake_log_probs([BOUNDARY, *TEXT])[[3, 7, 9]]
    assert found.log_probs == pytest.approx(row - np.log(np.exp(row).sum()), rel=1e-6)
    score = only(Request(Purpose.SCORE, [7], candidates=(3, 7, 9)))
    first = fake_log_probs([BOUNDARY])[[3, 7, 9]]
    assert score.logprobs == pytest.approx([first[1] - np.log(np.exp(first).sum())], rel=1e-6)


def test_a_greedy_text_takes_the_likeliest_token_and_a_search_begins_with_it() -> None:
    written = only(Request(Purpose.GENERATE, TEXT, sampling=GREEDY))
    text = [BOUNDARY, *TEXT]
    for token_id in written.token_ids[:5]:
        assert token_id == fake_log_probs(text).argmax()
        text.append(token_id)
    request = Request(Purpose.BRANCH, TEXT, sampling=ONE_TOKEN, beams=BeamParams(num_beams=3))
    best = [each.token_ids for each in only(request).hypotheses]
    allowed = [i for i in fake_log_probs([BOUNDARY, *TEXT]).argsort()[::-1] if i != BOUNDARY]
    assert best == [[token_id] for token_id in allowed[:3]]


@pytest.mark.parametrize("num_read", range(1, len(TEXT)))
def test_a_text_in_two_pieces_is_the_text_in_one(num_read) -> None:
    whole = only(Request(Purpose.GENERATE, TEXT, sampling=up_to(9)))
    engine = fake_engine()
    ((read,),) = serve(engine, [Request.read(TEXT[:num_read])])
    rest = Request(Purpose.GENERATE, TEXT[num_read:], read.state, up_to(9), is_streamed=True)
    (results,) = serve(engine, [rest])
    assert [token_id for each in results for token_id in each.token_ids] == whole.token_ids


def test_hidden_states_are_reported_by_a_model_that_has_some() -> None:
    read = only(Request.read(TEXT, hidden=True), hidden_size=8)
    score = only(Request(Purpose.SCORE, TEXT, want=Want(hidden=True)), hidden_size=8)
    assert read.hidden.shape == (len(TEXT) + 1, 8)
    assert (score.hidden == read.hidden[:-1]).all()
