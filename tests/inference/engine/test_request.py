"""What a sequence is asked: the slots and tokens that it takes, and which results end it."""

import dataclasses

import numpy as np
import pytest

from refrain.inference.engine.request import (
    Predicted,
    Request,
    Scored,
    Searched,
    TextState,
    Written,
    require_open,
)
from refrain.inference.errors import EndedTextError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose

STATE = TextState(b"secret", 12, (7, 8))
WRITING, READING = SamplingParams(max_tokens=3), SamplingParams(max_tokens=0)


@pytest.mark.parametrize("start", [None, STATE])
def test_reading_asks_for_a_state_and_for_no_prediction(start) -> None:
    request = Request.read([3, 4], start)
    assert (request.purpose, request.token_ids) == (Purpose.GENERATE, [3, 4])
    assert request.start is start
    assert request.sampling.max_tokens == 0
    assert (request.want.state, request.want.hidden, request.want.top) == (True, False, 0)
    assert Request.read([3], hidden=True).want.hidden


def test_a_request_cannot_be_changed_once_it_is_asked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Request(Purpose.PREDICT, [3]).token_ids = [4]


def test_a_state_goes_on_with_a_token_that_is_not_read_yet() -> None:
    longer = STATE.extended(9)
    assert longer == TextState(b"secret", 12, (7, 8, 9))
    assert STATE.unread == (7, 8)


def test_what_a_state_remembers_is_not_printed() -> None:
    assert "secret" not in repr(STATE)


def test_nothing_is_scored_after_an_end() -> None:
    require_open(None)
    require_open(STATE)
    with pytest.raises(EndedTextError, match="has ended"):
        require_open(TextState(b"", 4, ()))


def test_written_tokens_are_the_last_with_a_reason_and_every_other_result_is() -> None:
    assert Written([3], [-1.0], []).finish_reason is None
    for reason in ("stop", "length"):
        assert Written([3], [-1.0], [], reason).finish_reason
    for result in (Scored([-1.0], []), Predicted(np.zeros(3), 0.0, []), Searched([])):
        assert result.finish_reason
