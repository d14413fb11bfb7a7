"""Text up to a stop string, however it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.stop_strings import StopStrings
from models.language import recognise_language


@given(
    text=st.text("ab", max_size=30),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(1, 4), max_size=30),
)
def test_pieces_give_the_text_before_the_first_stop_string(text, stops, cuts) -> None:
    passed, start = "", 0
    strings = StopStrings(stops)
    for cut in [*cuts, len(text)]:
        if not strings.is_stopped:
            passed += strings.push(text[start : start + cut])
            start += cut
    is_stopped = any(stop in text[:start] for stop in stops)
    assert strings.is_stopped == is_stopped
    if is_stopped:
        assert any(text.startswith(passed + stop) for stop in stops)
        assert not any(stop in passed for stop in stops)
    else:
        assert passed + strings.finish() == text


def test_nothing_is_held_back_that_cannot_become_a_stop_string() -> None:
    strings = StopStrings(["END"])
    assert strings.push("the E") == "the "
    assert strings.push("N") == ""
    assert strings.push("x") == "ENx"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A lovely film", "en"),
        ("房间太小", "zh"),
        ("iPhone 的屏幕很好", "zh"),
        ("the word 好 means good", "en"),
        ("", None),
        ("12345 !!", None),
    ],
)
def test_the_script_tells_the_language(text, language) -> None:
    assert recognise_language(text) == language
