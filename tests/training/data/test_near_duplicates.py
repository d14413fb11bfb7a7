"""Near-duplicates of prose (those of poems: test_readers.py)."""

import pytest

from refrain.training.data.near_duplicates import HeldOutTexts, sentences_of

FIRST = "The committee met on Tuesday to discuss the budget of the library."
SECOND = "Nobody had expected so many people to come to the meeting."
THIRD = "The budget was passed with a majority of two votes after midnight."
FOURTH = "On the way home it rained, and everyone had forgotten an umbrella."
OTHERS = [f"Sentence number {n} of a text that has nothing to do with it." for n in range(20)]


def test_sentences_are_letters_and_short_ones_do_not_count() -> None:
    assert sentences_of(f"{FIRST} Yes! {SECOND}") == sentences_of(f"{SECOND.upper()}\n{FIRST} No.")
    assert sentences_of("The cat sat.") == {"thecatsat"}
    assert sentences_of(" .") == set()


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ([FIRST], [FIRST, *OTHERS]),
        ([FIRST, SECOND, *OTHERS], [FIRST]),
        ([FIRST, SECOND, THIRD, FOURTH], [*OTHERS[:3], FIRST]),
    ],
)
def test_a_quarter_of_the_shorter_text_is_enough(held, text) -> None:
    texts = HeldOutTexts([" ".join(OTHERS[10:]).replace("nothing", "all"), " ".join(held)])
    assert texts.has_near_duplicate_of(" ".join(text))


def test_formulas_of_long_texts_are_not() -> None:
    held = HeldOutTexts([" ".join([FIRST, SECOND, *OTHERS[:10]])])
    assert not held.has_near_duplicate_of(" ".join([FIRST, SECOND, *OTHERS[10:]]))
    assert not held.has_near_duplicate_of("")


def test_sentences_shared_with_different_texts_do_not_add_up() -> None:
    held = HeldOutTexts([" ".join([one, *OTHERS[:4]]) for one in (FIRST, SECOND, THIRD)])
    assert not held.has_near_duplicate_of(" ".join([FIRST, SECOND, THIRD, *OTHERS[10:]]))
