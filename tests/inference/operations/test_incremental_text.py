"""Tokens become text as they come, and what is reported of each token fits that text."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.inference.engine.request import Written
from refrain.inference.operation import TokenAlternative, TokenLogprob
from refrain.inference.operations.incremental_text import IncrementalText, token_logprob
from refrain.inference.operations.prompt import Prompt
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import CHINESE, ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH + CHINESE])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=20)
"""Texts without the name of a special token, which byte pairs read as that token."""
START, AFTER_A_SPACE = Prompt([]), Prompt([5], drops_space=True)


def written(ids, reason=None, **others) -> Written:
    return Written([*ids], [-0.5 * (place + 1) for place in range(len(ids))], [], reason, **others)


def text_of(tokenizer, *, stops=(), prompt=START, wants_logprobs=False) -> IncrementalText:
    return IncrementalText(tokenizer, prompt, stops, wants_logprobs=wants_logprobs)


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 4), max_size=10))
def test_pieces_are_the_text_however_tokens_come(text, cuts) -> None:
    ids = BYTES.encode(text).ids
    growing, found, first = text_of(BYTES), "", 0
    for cut in cuts:
        piece, reason, _ = growing.take(written(ids[first : first + cut]))
        assert reason is None
        found, first = found + piece, first + cut
    piece, reason, _ = growing.take(written(ids[first:], "length"))
    assert (found + piece, reason) == (text, "length")
    assert growing.token_ids == ids


def test_half_a_character_waits_for_the_other_half_and_is_broken_if_none_comes() -> None:
    first, second = BYTES.encode("é").ids
    growing = text_of(BYTES)
    assert growing.take(written([first]))[0] == ""
    assert growing.take(written([second]))[0] == "é"
    assert growing.take(written([first], "length"))[:2] == ("\ufffd", "length")


@pytest.mark.parametrize("stops", [(), ("dog",)])
def test_a_space_that_the_prompt_has_already_is_not_written_again(stops) -> None:
    ids = WORDS.encode(" cat sat").ids
    assert text_of(WORDS, prompt=AFTER_A_SPACE, stops=stops).take(written(ids))[0] == "cat sat"
    assert text_of(WORDS, prompt=Prompt([5]), stops=stops).take(written(ids))[0] == " cat sat"
    one_by_one = text_of(WORDS, prompt=AFTER_A_SPACE, stops=stops)
    assert [one_by_one.take(written([i]))[0] for i in ids] == ["cat", " sat"]


def test_words_split_by_white_space_stand_apart_from_the_prompt() -> None:
    tokenizer = Tokenizer.train("whitespace", [ENGLISH])
    ids = tokenizer.encode("cat sat").ids
    assert text_of(tokenizer, prompt=Prompt([5])).take(written(ids))[0] == " cat sat"
    assert text_of(tokenizer).take(written(ids))[0] == "cat sat"


def test_a_stop_string_ends_the_text_and_tokens_after_it_do_not_count() -> None:
    ids = WORDS.encode("The cat sat on the mat").ids
    growing = text_of(WORDS, stops=["sat on"])
    assert growing.take(written(ids[:2]))[:2] == ("The cat", None)
    piece, reason, _ = growing.take(written(ids[2:]))
    assert (piece, reason) == (" ", "stop")
    assert growing.is_stopped
    assert growing.token_ids == ids[:4]
    assert growing.sum_logprobs == pytest.approx(-0.5 - 1.0 - 0.5 - 1.0)


def test_a_stop_string_counts_before_the_length_that_the_same_tokens_reach() -> None:
    ids = WORDS.encode("The cat sat").ids
    growing = text_of(WORDS, stops=[" cat"])
    assert growing.take(written(ids, "length"))[:2] == ("The", "stop")
    assert growing.token_ids == ids[:2]


def test_what_may_yet_become_a_stop_string_is_held_back_until_the_end() -> None:
    ids = WORDS.encode("The cat").ids
    growing = text_of(WORDS, stops=["cat sat"])
    assert growing.take(written(ids))[:2] == ("The ", None)
    assert growing.take(written([], "length"))[:2] == ("cat", "length")
    assert not growing.is_stopped


def test_the_end_of_a_text_is_a_token_that_writes_nothing() -> None:
    ids = [*WORDS.encode("The cat").ids, WORDS.eos_id]
    growing = text_of(WORDS, wants_logprobs=True)
    piece, reason, logprobs = growing.take(written(ids, "stop"))
    assert (piece, reason) == ("The cat", "stop")
    assert [each.token for each in logprobs] == ["The", " cat", "<eos>"]
    assert growing.token_ids == ids
    assert growing.sum_logprobs == pytest.approx(math.fsum([-0.5, -1.0, -1.5]))


def test_every_token_is_reported_with_its_place_in_the_text() -> None:
    ids = WORDS.encode("The cat sat").ids
    growing = text_of(WORDS, wants_logprobs=True)
    _, _, first = growing.take(written(ids[:1]))
    _, _, others = growing.take(written(ids[1:], "length"))
    assert [(each.token, each.logprob, each.offset) for each in first + others] == [
        ("The", -0.5, 0),
        (" cat", -0.5, 3),
        (" sat", -1.0, 7),
    ]
    assert text_of(WORDS).take(written(ids))[2] == []


def test_places_count_from_where_the_text_begins_without_the_prompts_space() -> None:
    ids = WORDS.encode(" cat sat").ids
    growing = text_of(WORDS, prompt=AFTER_A_SPACE, wants_logprobs=True)
    assert [each.offset for each in growing.take(written(ids))[2]] == [0, 3]


def test_no_more_tokens_are_reported_than_count() -> None:
    ids = WORDS.encode("The cat sat on the mat").ids
    growing = text_of(WORDS, stops=[" sat"], wants_logprobs=True)
    _, _, logprobs = growing.take(written(ids))
    assert [each.token for each in logprobs] == ["The", " cat", " sat"]


def test_alternatives_are_reported_by_their_surfaces() -> None:
    the, cat = WORDS.encode("The cat").ids
    result = Written([the], [-1.0], [[(cat, -0.5), (the, -1.0)]], "length")
    _, _, (found,) = text_of(WORDS, wants_logprobs=True).take(result)
    assert found == TokenLogprob(
        "The", -1.0, [TokenAlternative(" cat", -0.5), TokenAlternative("The", -1.0)], 0
    )
    assert token_logprob(WORDS, cat, None, [], 7) == TokenLogprob(" cat", None, [], 7)
