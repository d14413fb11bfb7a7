"""What a text goes on from, as a string or as token ids."""

import pytest
from hypothesis import strategies as st

from refrain.inference.errors import TextTooLongError
from refrain.inference.operations.prompt import Prompt, read_prompt
from refrain.models.errors import InvalidParameterError
from refrain.models.text.tokenizer import Tokenizer
from tests.support.by_hand import state
from tests.support.checkpoints import CHINESE, ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH + CHINESE])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=20)
"""Texts without the name of a special token, which byte pairs read as that token."""
EOS = WORDS.eos_id


def test_a_string_is_tokenized_with_the_place_of_each_token() -> None:
    prompt = read_prompt(WORDS, "The old cat")
    assert prompt.ids == WORDS.encode("The old cat").ids
    assert [*prompt.offsets] == [0, 3, 7]
    assert (prompt.text, prompt.num_given, prompt.start) == ("The old cat", 3, None)
    assert not prompt.drops_space


def test_a_space_at_the_end_is_that_of_the_word_to_come() -> None:
    prompt = read_prompt(WORDS, "The old ")
    assert prompt.ids == WORDS.encode("The old").ids
    assert prompt.drops_space
    assert prompt.text == "The old "
    alone = read_prompt(WORDS, " ")
    assert (alone.ids, alone.is_inside) == ([], True)


def test_ids_are_taken_as_they_are_and_spelled_only_where_that_is_asked_for() -> None:
    ids = WORDS.encode("The old cat").ids
    prompt = read_prompt(WORDS, ids)
    assert (prompt.ids, prompt.num_given, prompt.text) == (ids, 3, "")
    assert not prompt.offsets
    spelled = read_prompt(WORDS, ids, spells=True)
    assert (spelled.text, [*spelled.offsets]) == ("The old cat", [0, 3, 7])


@pytest.mark.parametrize("given", ["<eos>The cat", [EOS, *WORDS.encode("The cat").ids]])
def test_a_boundary_that_is_named_at_the_beginning_is_counted_and_not_read_twice(given) -> None:
    prompt = read_prompt(WORDS, given, with_names=True, spells=True)
    assert prompt.names_eos
    assert prompt.ids == WORDS.encode("The cat").ids
    assert prompt.num_given == 3
    assert len(prompt.offsets) == 2


def test_a_boundary_after_a_state_is_a_token_like_any_other() -> None:
    prompt = read_prompt(WORDS, [EOS, 4], state())
    assert not prompt.names_eos
    assert prompt.ids == [EOS, 4]


def test_the_names_of_special_tokens_are_letters_unless_they_are_asked_for() -> None:
    assert EOS not in read_prompt(WORDS, "<eos>The cat").ids


def test_nothing_can_be_given_but_where_a_text_has_ended() -> None:
    assert read_prompt(WORDS, "").ids == []
    assert read_prompt(WORDS, "", state()).is_inside
    with pytest.raises(InvalidParameterError, match="has ended"):
        read_prompt(WORDS, " ", state(unread=()))
    assert read_prompt(WORDS, " cat", state(unread=())).ids == WORDS.encode(" cat").ids


@pytest.mark.parametrize("given", ["The old cat", [4, 5, 6], [EOS, 5, 6]])
def test_a_prompt_beyond_the_limit_is_refused_by_the_name_of_its_field(given) -> None:
    assert read_prompt(WORDS, given, max_tokens=3).num_given == 3
    with pytest.raises(TextTooLongError, match="3 tokens; the limit is 2") as refused:
        read_prompt(WORDS, given, max_tokens=2, param="prefix")
    assert refused.value.param == "prefix"


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="token ids go from 0"):
        read_prompt(WORDS, [WORDS.vocab_size])


def test_a_text_goes_on_inside_another_after_tokens_a_state_or_a_space() -> None:
    assert not Prompt([]).is_inside
    assert Prompt([4]).is_inside
    assert Prompt([], state()).is_inside
    assert Prompt([], drops_space=True).is_inside
