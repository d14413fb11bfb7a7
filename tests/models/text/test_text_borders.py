"""Where one text may be cut from the next, and how tokens are spelled."""

import pytest
from hypothesis import strategies as st

from refrain.models.text.text_borders import split_tail, with_space
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import CHINESE, ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
CHARACTERS = Tokenizer.train("characters", [CHINESE + ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH + CHINESE])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=20)
"""Texts without the name of a special token, which byte pairs read as that token."""


def test_a_word_that_goes_on_a_text_stands_apart_from_it() -> None:
    assert with_space(WORDS, "cat", is_inside=True) == " cat"
    assert with_space(BYTES, "cat", is_inside=True) == " cat"
    assert with_space(CHARACTERS, "春", is_inside=True) == "春"
    assert with_space(WORDS, "cat", is_inside=False) == "cat"
    for text in (" cat", ", cat", "\ncat", ""):
        assert with_space(WORDS, text, is_inside=True) == text


def test_a_word_without_end_is_taken_as_it_is() -> None:
    assert split_tail(WORDS, "The ca") == ("The", " ca")
    assert split_tail(WORDS, "The  ") == ("The", "  ")
    assert split_tail(WORDS, "x" * 300) == ("x" * 300, "")


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("The cat", " cat"),
        ("The cat ", " "),
        ("The\t\u00a0cat", "\t\u00a0cat"),
        ("", ""),
        ("a" * 500, ""),
        ("The " + "\n" * 1_000, "\n" * 200),
    ],
)
def test_the_tail_is_the_word_under_way_with_the_blanks_before_it(text, tail) -> None:
    settled, found = split_tail(WORDS, text)
    assert (settled + found, found) == (text, tail)


def test_a_character_is_settled_as_soon_as_it_is_typed() -> None:
    assert split_tail(CHARACTERS, "The cat ") == ("The cat ", "")


def test_a_very_long_text_is_split_at_once() -> None:
    for text in ("a" * 10**6 + " b", " " * 10**6 + "b", "a b" * 10**6):
        settled, tail = split_tail(WORDS, text)
        assert settled + tail == text
        assert len(tail) <= 401
