"""Biases and allowed tokens are given by their text and taken by their id."""

import math

import numpy as np
import pytest

from refrain.inference.operations.constraints import constrained
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
CHARACTERS = Tokenizer.train("characters", ["".join(chr(0x4E00 + n) for n in range(300))])
UNKNOWN_IS_BANNED = (WORDS.unk_id, -math.inf)


def allowed_ids(sampling: SamplingParams) -> list[int]:
    """Read the bits one by one."""
    assert sampling.allowed is not None
    words = [int(word) for word in sampling.allowed]
    return [64 * n + bit for n, word in enumerate(words) for bit in range(64) if word >> bit & 1]


def test_the_unknown_word_is_never_written() -> None:
    sampling = constrained(GREEDY, WORDS, {}, None)
    assert sampling.logit_bias == (UNKNOWN_IS_BANNED,)
    assert sampling.allowed is None
    assert sampling.temperature == 0


def test_it_is_banned_whatever_bias_it_is_given() -> None:
    biased = constrained(GREEDY, WORDS, {WORDS.unk_id: 1_000.0}, None)
    assert sum(value for token_id, value in biased.logit_bias if token_id == 0) == -math.inf


def test_biases_are_given_by_text_or_by_id_and_join_those_that_are_there() -> None:
    cat, sat = WORDS.encode(" cat sat").ids
    before = SamplingParams(logit_bias=((5, 0.5),))
    by_text = constrained(before, WORDS, {" cat": -5.0, " sat": 2.0}, None)
    by_id = constrained(before, WORDS, {cat: -5.0, sat: 2.0}, None)
    assert by_text.logit_bias == by_id.logit_bias
    assert by_text.logit_bias == ((5, 0.5), (cat, -5.0), (sat, 2.0), UNKNOWN_IS_BANNED)


def test_the_end_can_be_biased_by_its_id() -> None:
    sampling = constrained(GREEDY, WORDS, {WORDS.eos_id: -2.0}, None)
    assert sampling.logit_bias[0] == (WORDS.eos_id, -2.0)


@pytest.mark.parametrize("text", [" cat sat", "zebra", "", "<unk>", "<eos>"])
def test_a_text_that_is_not_one_token_is_refused_by_the_name_of_its_field(text) -> None:
    with pytest.raises(InvalidParameterError, match="not one token of this model") as refused:
        constrained(GREEDY, WORDS, {text: 1.0}, None)
    assert refused.value.param == "logit_bias"
    with pytest.raises(InvalidParameterError, match="not one token of this model") as refused:
        constrained(GREEDY, WORDS, {}, [text])
    assert refused.value.param == "allowed"


def test_a_refusal_shows_no_more_than_the_beginning_of_a_long_text() -> None:
    with pytest.raises(InvalidParameterError) as refused:
        constrained(GREEDY, WORDS, {"x" * 5_000: 1.0}, None)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("token_id", [-1, 10_000])
def test_an_id_beyond_the_vocabulary_is_refused(token_id) -> None:
    with pytest.raises(InvalidParameterError, match="token ids go from 0") as refused:
        constrained(GREEDY, WORDS, {token_id: 1.0}, None)
    assert refused.value.param == "logit_bias"


def test_only_the_allowed_tokens_and_the_end_have_a_bit() -> None:
    texts = [CHARACTERS.surface(token_id) for token_id in (2, 63, 64, 127, 128, 301)]
    sampling = constrained(GREEDY, CHARACTERS, {}, texts)
    assert allowed_ids(sampling) == [1, 2, 63, 64, 127, 128, 301]
    assert sampling.allowed.dtype == np.uint64
    assert len(sampling.allowed) == CHARACTERS.vocab_size // 64 + 1


def test_allowing_nothing_leaves_the_end_alone_and_the_same_token_twice_is_one() -> None:
    assert allowed_ids(constrained(GREEDY, WORDS, {}, [])) == [WORDS.eos_id]
    cat = WORDS.id_of(" cat")
    assert allowed_ids(constrained(GREEDY, WORDS, {}, [" cat", " cat"])) == [1, cat]


def test_tokens_that_were_allowed_before_stay_so_where_none_are_given() -> None:
    first = constrained(GREEDY, WORDS, {}, [" cat"])
    assert constrained(first, WORDS, {}, None).allowed is first.allowed
    assert allowed_ids(constrained(first, WORDS, {}, ["The"])) == [1, WORDS.id_of("The")]
