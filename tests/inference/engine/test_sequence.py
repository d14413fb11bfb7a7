"""What is reported of a sequence as its cursor moves: nobody runs, results are written to its memory by hand."""

import numpy as np
import pytest

from refrain.inference.engine.metrics import Timings
from refrain.inference.engine.request import (
    BeamParams,
    Predicted,
    Request,
    Scored,
    TextState,
    Written,
)
from refrain.inference.engine.sequence import MAX_UNSENT, Sequence
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose, Status
from refrain.models.native.step.want import NOTHING, Want

SHAPE = ModelShape(vocab_size=20, eos_id=1, hidden_size=4)
STATE = TextState(b"state", 3, (5,))


def sequence(
    purpose: Purpose,
    want: Want = NOTHING,
    max_tokens: int = 100,
    *,
    is_streamed: bool = False,
) -> Sequence:
    """A sequence of the boundary and three tokens."""
    sampling = SamplingParams(max_tokens=max_tokens)
    request = Request(purpose, [3, 4, 5], sampling=sampling, want=want, is_streamed=is_streamed)
    native = NativeSequence(purpose, [1, 3, 4, 5], SHAPE, sampling=sampling, want=want)
    return Sequence(request, native, "me")


def write(written: Sequence, *token_ids: int) -> None:
    """Write tokens as a runner does, the n-th with log-probability -n."""
    native, struct = written.native, written.native.struct
    for token_id in token_ids:
        number = struct.num_found
        native.logprobs[number] = -number
        if native.top_ids is not None:
            native.top_ids[number] = [token_id, 0]
            native.top_logprobs[number] = [-number, -number - 1]
        struct.num_read = struct.num_tokens
        native.push(token_id)
        struct.num_found += 1


def test_each_token_is_reported_once_however_a_text_is_cut_to_results() -> None:
    text = sequence(Purpose.GENERATE, Want(top=2))
    write(text, 7, 8)
    assert text.num_unsent == 2
    top = [[(7, 0.0), (0, -1.0)], [(8, -1.0), (0, -2.0)]]
    assert text.result(None) == Written([7, 8], [0.0, -1.0], top)
    assert text.num_unsent == 0
    assert text.result(None) == Written([], [], [])
    write(text, 9)
    text.native.struct.status = Status.FULL
    assert text.result(STATE) == Written([9], [-2.0], [[(9, -2.0), (0, -3.0)]], "length", STATE)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(Status.RUNNING, None), (Status.STOPPED, "stop"), (Status.FULL, "length")],
)
def test_a_text_ends_for_the_reason_that_its_runner_saw(status, reason) -> None:
    text = sequence(Purpose.GENERATE)
    text.native.struct.status = status
    assert text.is_running == (reason is None)
    assert text.result(None).finish_reason == reason


def test_a_score_is_reported_whole_with_what_was_wanted() -> None:
    score = sequence(Purpose.SCORE, Want(top=2, ranks=True, hidden=True))
    native = score.native
    native.logprobs[:], native.ranks[:] = [-1, -2, -3], [1, 5, 2]
    native.top_ids[:], native.top_logprobs[:] = [[3, 2]] * 3, [[-1, -2]] * 3
    native.hidden[:] = 9
    native.struct.num_found = 3
    found = score.result(STATE)
    assert isinstance(found, Scored)
    assert (found.logprobs, found.ranks, found.state) == ([-1, -2, -3], [1, 5, 2], STATE)
    assert found.top == [[(3, -1), (2, -2)]] * 3
    assert (found.hidden == np.full((3, 4), 9)).all()
    assert found.cache_probs is None


def test_a_score_without_wishes_is_of_log_probabilities_alone() -> None:
    score = sequence(Purpose.SCORE)
    score.native.logprobs[:] = [-1, -2, -3]
    score.native.struct.num_found = 3
    assert score.result(None) == Scored([-1.0, -2.0, -3.0], [])


def test_a_prediction_is_reported_with_its_entropy_and_its_top() -> None:
    prediction = sequence(Purpose.PREDICT, Want(top=2))
    native = prediction.native
    native.log_probs[:], native.struct.entropy = -np.arange(20), 1.5
    native.top_ids[:], native.top_logprobs[:] = [[0, 1]], [[0, -1]]
    found = prediction.result(STATE)
    assert isinstance(found, Predicted)
    assert found.log_probs.tolist() == list(range(0, -20, -1))
    assert (found.entropy, found.top, found.state) == (1.5, [(0, 0.0), (1, -1.0)], STATE)
    short = sequence(Purpose.PREDICT, Want(distribution=False)).result(None)
    assert (short.log_probs, short.top) == (None, [])


@pytest.mark.parametrize(
    ("purpose", "max_tokens", "is_prefill_only", "only_reads"),
    [
        (Purpose.GENERATE, 0, True, True),
        (Purpose.GENERATE, 5, False, False),
        (Purpose.PREDICT, 5, False, True),
        (Purpose.SCORE, 5, False, False),
    ],
)
def test_what_is_neither_written_nor_scored_is_read_to_its_last_token(
    purpose, max_tokens, is_prefill_only, only_reads
) -> None:
    found = sequence(purpose, max_tokens=max_tokens)
    assert (found.is_prefill_only, found.only_reads) == (is_prefill_only, only_reads)


@pytest.mark.parametrize("purpose", [Purpose.GENERATE, Purpose.SCORE, Purpose.PREDICT])
def test_only_what_is_written_is_streamed(purpose) -> None:
    assert sequence(purpose, is_streamed=True).is_streamed == (purpose is Purpose.GENERATE)
    assert not sequence(purpose).is_streamed


def test_a_stream_is_ahead_once_its_reader_has_left_it_a_fixed_number_of_tokens() -> None:
    stream = sequence(Purpose.GENERATE, is_streamed=True)
    stream.is_reader_ready = False
    write(stream, *[7] * (MAX_UNSENT - 1))
    assert not stream.is_ahead
    write(stream, 7)
    assert stream.is_ahead
    stream.is_reader_ready = True
    assert not stream.is_ahead
    stream.is_reader_ready = False
    stream.result(None)
    assert not stream.is_ahead


def test_a_text_that_is_not_streamed_is_never_ahead() -> None:
    text = sequence(Purpose.GENERATE)
    text.is_reader_ready = False
    write(text, *[7] * 90)
    assert not text.is_ahead


def test_tokens_are_read_for_a_text_where_neither_a_state_nor_a_cache_knew_them() -> None:
    text = sequence(Purpose.GENERATE)
    text.native.struct.num_read = 2
    text.timings.num_known = text.num_read_before = 2
    assert (text.num_prompt_read, text.num_read_since) == (0, 0)
    text.native.struct.num_read = 4
    assert (text.num_prompt_read, text.num_read_since) == (2, 2)
    write(text, 7, 8)
    assert (text.num_prompt_read, text.num_read_since, text.num_written) == (2, 3, 2)


def test_what_a_search_has_written_is_what_its_hypotheses_were_branched_to() -> None:
    root = sequence(Purpose.BRANCH, Want(branches=2))
    assert root.num_written == 0
    root.timings.num_written = 6
    assert root.num_written == 6


def test_a_sequence_begins_with_nothing_sent_and_without_a_slot() -> None:
    text = sequence(Purpose.GENERATE, Want(state=True))
    assert (text.slot, text.num_sent, text.swapped_out, text.siblings) == (-1, 0, None, [])
    assert (text.caller, text.wants_state, text.num_slots) == ("me", True, 1)
    assert text.timings == Timings()


def test_only_a_search_takes_more_than_one_slot() -> None:
    for purpose in (Purpose.GENERATE, Purpose.SCORE, Purpose.PREDICT):
        assert sequence(purpose).num_slots == 1
    request = Request(Purpose.BRANCH, [3], beams=BeamParams(4))
    assert Sequence(request, NativeSequence(Purpose.BRANCH, [1, 3], SHAPE)).num_slots == 4


@pytest.mark.parametrize(
    ("purpose", "max_tokens", "is_written"),
    [
        (Purpose.GENERATE, 3, True),
        (Purpose.GENERATE, 0, False),
        (Purpose.SCORE, 3, False),
        (Purpose.PREDICT, 3, False),
    ],
)
def test_a_text_is_written_by_a_generation_of_some_length(purpose, max_tokens, is_written) -> None:
    assert sequence(purpose, max_tokens=max_tokens).is_written == is_written


def test_a_text_is_written_by_a_search() -> None:
    request = Request(Purpose.BRANCH, [3], beams=BeamParams(4))
    assert Sequence(request, NativeSequence(Purpose.BRANCH, [1, 3], SHAPE)).is_written
