"""A text that grows under one's hands: in pieces it is the whole text, and a fork goes on by itself."""

import pytest

from refrain.inference.local import LocalModel
from refrain.inference.operations.next_token import NextQuery
from refrain.models.errors import InvalidParameterError

TEXT = "The old cat sat on the mat. The dog didn't sit"
FIVE = NextQuery(top_k=5)


@pytest.fixture(scope="module")
def english(checkpoints) -> LocalModel:
    """The model of words."""
    return LocalModel(checkpoints / "english", precision="int8")


def test_a_session_in_pieces_and_its_fork_are_the_whole_text(english) -> None:
    session = english.session("The o")
    for piece in ("ld c", "at", " sat"):
        session.append(piece)
    assert session.next(FIVE) == english.next("The old cat sat", FIVE)
    fork = session.fork()
    fork.append(" on the")
    assert fork.next() == english.next("The old cat sat on the")
    assert session.next() == english.next("The old cat sat")
    letters = NextQuery(starts_with="o")
    assert session.next(letters) == english.next("The old cat sat", letters)


def test_a_session_of_nothing_is_the_beginning_of_a_text(english) -> None:
    session = english.session()
    assert session.state is None
    assert session.next() == english.next("")
    session.append("")
    assert session.next() == english.next("")


def test_the_word_under_way_is_in_no_state_until_it_is_whole(english) -> None:
    session = english.session("The old ca")
    before = english.read(english.tokenizer.encode("The old").ids)
    assert session.state == before
    session.append("t")
    assert session.state == before
    session.append(" ")
    assert session.state == english.read(english.tokenizer.encode("The old cat").ids)


def test_a_state_of_a_session_can_be_gone_on_from(english) -> None:
    session = english.session("The old cat ")
    assert english.next(" sat", FIVE, session.state) == english.next("The old cat sat", FIVE)


def test_candidates_are_compared_after_the_word_under_way(english) -> None:
    query = NextQuery(candidates=["cat", "dog"], normalize="candidates")
    found = english.session("The old").next(query)
    assert found == english.next("The old", query)
    assert sum(each.probability for each in found.candidates) == pytest.approx(1, abs=1e-5)


def test_a_session_that_adapts_finds_words_that_it_has_had_likelier(english) -> None:
    query = NextQuery(candidates=["cat"])
    plain, adaptive = english.session(TEXT * 3), english.session(TEXT * 3, adaptive=True)
    (before,), (after,) = (s.next(query).candidates for s in (plain, adaptive))
    fork = adaptive.fork()
    fork.append(" mat" * 40)
    assert after.probability > before.probability
    assert adaptive.next(query).candidates == [after]
    assert fork.next(query).candidates != [after]


def test_an_adaptive_text_in_pieces_is_the_text_of_one_piece(english) -> None:
    whole = english.session(TEXT * 3, adaptive=True)
    cut = english.session(adaptive=True)
    for first in range(0, 3 * len(TEXT), 7):
        cut.append((TEXT * 3)[first : first + 7])
    assert cut.state == whole.state
    assert cut.next(FIVE) == whole.next(FIVE)


@pytest.mark.parametrize(("name", "precision"), [("counts", "auto"), ("english", "fp32")])
def test_a_model_that_cannot_adapt_says_so(checkpoints, name, precision) -> None:
    model = LocalModel(checkpoints / name, precision=precision)
    with pytest.raises(InvalidParameterError, match="only models in int8"):
        model.session(adaptive=True)
