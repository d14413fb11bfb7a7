"""The words that operations and drivers have for each other."""

import pytest

from refrain.inference.engine.request import Predicted, Request, Written
from refrain.inference.operation import (
    MORE,
    Delta,
    Gather,
    TokenAlternative,
    TokenLogprob,
    gather,
    predicted,
    read,
    scored,
)
from refrain.models.native.step.structures import Purpose
from tests.support.by_hand import read_state, replies, run_by_hand, scores, state

SCORE = Request(Purpose.SCORE, [4, 5])
PREDICTION = Request(Purpose.PREDICT, [4, 5])
PREDICTED = Predicted(None, 0.5, [(4, -0.5)])


def test_operations_side_by_side_are_yielded_together_and_answer_in_their_order() -> None:
    operations = [scored(SCORE), predicted(PREDICTION)]
    gathering = gather(iter(operations))
    work = next(gathering)
    assert isinstance(work, Gather)
    assert work.operations == operations
    with pytest.raises(StopIteration) as end:
        gathering.send(["first", "second"])
    assert end.value.value == ["first", "second"]


def test_gathered_operations_may_gather_themselves() -> None:
    inner = gather([scored(SCORE), scored(SCORE)])
    reply = replies(scores(-1.0), scores(-2.0), PREDICTED)
    heard = run_by_hand(gather([inner, predicted(PREDICTION)]), reply)
    assert heard.answer == [[scores(-1.0), scores(-2.0)], PREDICTED]


def test_one_request_is_asked_and_its_result_comes_back() -> None:
    for operation, request, result in (
        (scored(SCORE), SCORE, scores(-1.0, -2.0)),
        (predicted(PREDICTION), PREDICTION, PREDICTED),
    ):
        heard = run_by_hand(operation, replies(result))
        assert (heard.requests, heard.answer) == ([request], result)


def test_a_result_of_another_kind_is_a_fault_of_ours_that_is_seen() -> None:
    for operation in (scored(SCORE), predicted(SCORE), read([4])):
        with pytest.raises(AssertionError):
            run_by_hand(operation, replies(Written([], [], [], "length")))


def test_reading_is_a_request_to_write_nothing_that_wants_the_state() -> None:
    heard = run_by_hand(read([4, 5], state(2)), replies(read_state(4)))
    (request,) = heard.requests
    assert request == Request.read([4, 5], state(2))
    assert (request.purpose, request.sampling.max_tokens) == (Purpose.GENERATE, 0)
    assert request.want.state
    assert not request.want.hidden
    assert heard.answer == state(4)


def test_there_is_one_word_for_more() -> None:
    assert repr(MORE) == "<_More.MORE: 'more'>"
    assert type(MORE)("more") is MORE


def test_a_piece_of_text_is_told_without_its_state_and_without_logprobs_that_are_none() -> None:
    middle = Delta(1, " cat", None)
    assert middle.as_json() == {"index": 1, "text": " cat", "finish_reason": None}
    last = Delta(1, "", "stop", [TokenLogprob(" cat", None, [], 3)], state())
    assert last.as_json() == {
        "index": 1,
        "text": "",
        "finish_reason": "stop",
        "logprobs": [{"token": " cat", "logprob": None, "top": []}],
    }


def test_a_token_is_told_with_the_likeliest_in_its_place() -> None:
    token = TokenLogprob(" cat", -1.0, [TokenAlternative(" sat", -0.5)], 3)
    assert token.as_json() == {
        "token": " cat",
        "logprob": -1.0,
        "top": [{"token": " sat", "logprob": -0.5}],
    }
