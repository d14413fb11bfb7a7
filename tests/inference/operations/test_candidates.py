"""Candidates: their spellings in tokens, what of them can be compared, and the likeliest spelling of each."""

import math

import numpy as np
import pytest

from refrain.inference.engine.request import Predicted
from refrain.inference.operations.candidates import (
    comparable_tokens,
    likeliest_spelling,
    log_probs_among,
    spellings_of,
)
from refrain.models.errors import InvalidParameterError
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH])
UNK = WORDS.unk_id


def found(log_probs: np.ndarray) -> Predicted:
    return Predicted(log_probs.astype(np.float32), 0.0, [])


def test_a_word_inside_a_text_has_a_space_and_a_sign_may_have_one() -> None:
    spaced, alone = WORDS.encode(" cat").ids, WORDS.encode(".").ids
    assert spellings_of(WORDS, "cat", is_inside=True) == [spaced]
    assert spellings_of(WORDS, ".", is_inside=True) == [alone, WORDS.encode(" .").ids]
    assert spellings_of(WORDS, " cat", is_inside=True) == [spaced]
    assert spellings_of(WORDS, "cat", is_inside=False) == [WORDS.encode("cat").ids]
    assert spellings_of(BYTES, "cat", is_inside=True) == [BYTES.encode("cat").ids]


def test_a_candidate_without_a_token_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="a candidate is empty"):
        spellings_of(WORDS, "", is_inside=True)


def test_single_tokens_are_compared_each_once_in_the_order_of_their_ids() -> None:
    assert comparable_tokens(UNK, ["b", "a", "c"], [[[7]], [[4], [4, 9]], [[7]]]) == [4, 7]


@pytest.mark.parametrize(
    ("spellings", "match"),
    [([[4, 9]], "more than one token"), ([[UNK]], "not in the vocabulary")],
)
def test_what_cannot_be_compared_is_refused_by_name(spellings, match) -> None:
    with pytest.raises(InvalidParameterError, match=f"'odd' is {match}"):
        comparable_tokens(UNK, ["odd"], [spellings])


def test_probabilities_among_candidates_are_shared_out_anew() -> None:
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(9)))
    among = log_probs_among([2, 5], found(log_probs))
    expected = np.exp(log_probs[[2, 5]]) / np.exp(log_probs[[2, 5]]).sum()
    assert np.exp(among) == pytest.approx(expected, rel=1e-6)
    assert (
        log_probs_among([2, 5], found(log_probs[:2])).tolist() == np.float32(log_probs[:2]).tolist()
    )


def test_the_likeliest_spelling_stands_for_its_candidate() -> None:
    prediction = likeliest_spelling("x", [([3], -2.0), ([UNK], -1.0), ([5], -3.0)], UNK)
    assert (prediction.token, prediction.logprob, prediction.unknown) == ("x", -1.0, True)
    assert prediction.probability == math.exp(-1.0)
