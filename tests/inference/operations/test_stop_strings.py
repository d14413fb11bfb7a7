"""Text up to a stop string, however it arrives."""

from hypothesis import given
from hypothesis import strategies as st

from refrain.inference.operations.stop_strings import StopStrings


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


def test_a_stop_string_may_stand_across_many_pieces_and_end_inside_one() -> None:
    strings = StopStrings(["<end>"])
    assert [strings.push(piece) for piece in ("so <", "en", "d", "> and on")] == ["so ", "", "", ""]
    assert strings.is_stopped


def test_the_first_of_several_stop_strings_ends_the_text() -> None:
    strings = StopStrings(["later", "now"])
    assert strings.push("right now or later") == "right "
    assert strings.is_stopped


def test_what_was_held_back_is_passed_on_once_the_text_has_ended() -> None:
    strings = StopStrings(["\n\n"])
    assert strings.push("the end\n") == "the end"
    assert strings.finish() == "\n"
    assert strings.finish() == ""
    assert not strings.is_stopped
