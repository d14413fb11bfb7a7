"""One text in memory that native code works on: what is allocated for it, and what is refused before it gets there."""

import numpy as np
import pytest

from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import PARAMETERS, SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose, Status
from refrain.models.native.step.want import NOTHING, Want
from refrain.models.native.step.workspace import SequenceList

SHAPE = ModelShape(vocab_size=20, eos_id=1, hidden_size=64)
EVERYTHING = Want(top=3, ranks=True, state=True, hidden=True)


def sequence(purpose: Purpose, *, want: Want = NOTHING, max_tokens: int = 5) -> NativeSequence:
    sampling = SamplingParams(max_tokens=max_tokens)
    return NativeSequence(purpose, [1, 5, 6, 7], SHAPE, sampling=sampling, want=want)


@pytest.mark.parametrize("purpose", [Purpose.GENERATE, Purpose.SCORE, Purpose.PREDICT])
@pytest.mark.parametrize("token_id", [20, -1, 2**31 - 1, -(2**31), 2**31, 2**32 + 5, 2**70])
def test_a_token_outside_the_vocabulary_is_refused(purpose, token_id) -> None:
    for ids in ([token_id, 5], [5, token_id]):
        with pytest.raises(InvalidParameterError, match="token ids go from 0 to 19"):
            NativeSequence(purpose, ids, SHAPE)


@pytest.mark.parametrize("token_id", [20, -1, 2**31, 10**12, 2**70])
def test_a_candidate_or_a_bias_outside_the_vocabulary_is_refused(token_id) -> None:
    biased = SamplingParams(logit_bias=((3, 1.0), (token_id, 5.0)))
    with pytest.raises(InvalidParameterError, match="token ids go from 0 to 19"):
        NativeSequence(Purpose.GENERATE, [1], SHAPE, sampling=biased)
    with pytest.raises(InvalidParameterError, match="token ids go from 0 to 19"):
        NativeSequence(Purpose.PREDICT, [1], SHAPE, candidates=(3, token_id))


def test_allowed_tokens_have_a_bit_for_each() -> None:
    with pytest.raises(InvalidParameterError, match="one bit for each of 20 tokens"):
        none = SamplingParams(allowed=np.zeros(0, np.uint64))
        NativeSequence(Purpose.GENERATE, [1], SHAPE, sampling=none)


def test_the_ends_of_the_vocabulary_are_tokens() -> None:
    assert NativeSequence(Purpose.PREDICT, [0, 19], SHAPE).unread == [0, 19]


@pytest.mark.parametrize(
    ("purpose", "max_tokens", "num_found", "num_hidden"),
    [
        (Purpose.GENERATE, 5, 5, None),
        (Purpose.GENERATE, 0, 0, 4),
        (Purpose.SCORE, 5, 3, 3),
        (Purpose.PREDICT, 5, 0, None),
    ],
)
def test_there_is_room_for_all_that_may_be_found(
    purpose, max_tokens, num_found, num_hidden
) -> None:
    found = sequence(purpose, want=EVERYTHING, max_tokens=max_tokens)
    num_top = 1 if purpose is Purpose.PREDICT else num_found
    assert found.logprobs.shape == (num_found,)
    assert found.top_ids.shape == found.top_logprobs.shape == (num_top, 3)
    is_score = purpose is Purpose.SCORE
    assert (None if found.ranks is None else found.ranks.shape) == ((3,) if is_score else None)
    hidden = None if found.hidden is None else found.hidden.shape
    assert hidden == (None if num_hidden is None else (num_hidden, 64))
    assert (found.log_probs is not None) == (purpose is Purpose.PREDICT)


@pytest.mark.parametrize("purpose", [Purpose.GENERATE, Purpose.SCORE])
def test_nothing_is_allocated_that_is_not_wanted(purpose) -> None:
    found = sequence(purpose)
    kept = (found.ranks, found.top_ids, found.log_probs, found.hidden, found.cache_probs)
    assert kept == (None,) * 5
    struct = found.struct
    assert (struct.ranks, struct.top_ids, struct.hidden, struct.num_top) == (None, None, None, 0)


def test_no_more_tops_and_branches_are_reported_than_there_are_tokens() -> None:
    assert sequence(Purpose.PREDICT, want=Want(top=50)).top_ids.shape == (1, 20)
    assert len(sequence(Purpose.BRANCH, want=Want(branches=50)).branch_ids) == 20


def test_a_distribution_is_kept_only_where_it_is_wanted() -> None:
    assert sequence(Purpose.PREDICT).log_probs.shape == (20,)
    assert sequence(Purpose.PREDICT, want=Want(distribution=False)).log_probs is None
    among = NativeSequence(Purpose.PREDICT, [1], SHAPE, candidates=(7, 3))
    assert among.log_probs.shape == (2,)


def test_native_code_reads_how_tokens_are_chosen() -> None:
    values = {"temperature": 0.5, "top_k": 3, "top_p": 0.75, "min_p": 0.25, "typical_p": 0.5}
    penalties = {"repetition_penalty": 1.5, "frequency_penalty": 2.0, "presence_penalty": -1.0}
    given = {**values, **penalties, "ignore_eos": True, "max_tokens": 9}
    assert set(given) == set(PARAMETERS)
    sampling = SamplingParams(seed=2**63 + 1, **given)
    struct = NativeSequence(Purpose.GENERATE, [1], SHAPE, sampling=sampling).struct
    assert {name: getattr(struct, name) for name in given if name != "max_tokens"} == {
        name: value for name, value in given.items() if name != "max_tokens"
    }
    assert (struct.seed, struct.max_written) == (2**63 + 1, 9)


def test_a_cursor_moves_over_tokens_and_those_that_are_pushed() -> None:
    text = sequence(Purpose.GENERATE)
    assert (text.status, text.num_unread, text.unread) == (Status.RUNNING, 4, [1, 5, 6, 7])
    text.struct.num_read = 4
    text.struct.status = Status.FULL
    text.push(9)
    assert (text.status, text.unread) == (Status.RUNNING, [9])
    assert text.tokens[:5].tolist() == [1, 5, 6, 7, 9]


def test_a_text_is_copied_as_far_as_it_was_read() -> None:
    source, target = sequence(Purpose.GENERATE), sequence(Purpose.GENERATE)
    source.struct.num_read, source.struct.parity = 4, 1
    source.push(9)
    target.copy_text(source)
    assert (target.unread, target.struct.num_read, target.struct.parity) == ([9], 4, 1)
    source.push(8)
    assert target.unread == [9]


def test_a_list_points_to_the_sequences_themselves() -> None:
    texts = [sequence(Purpose.GENERATE), sequence(Purpose.SCORE)]
    listed = SequenceList(texts)
    texts[1].struct.num_read = 2
    assert listed.count == 2
    assert [listed.pointers[n].contents.num_read for n in range(2)] == [0, 2]
    assert np.int32(listed.pointers[1].contents.purpose) == Purpose.SCORE
