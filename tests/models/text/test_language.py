"""Which language a text is in, by its script, and which model answers where none is named."""

import pytest

from refrain.models.text.language import first_of_language, in_order, recognise_language


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


def test_preferred_names_come_first_and_the_others_by_name() -> None:
    assert in_order(["b", "tang", "a", "english"], ["english", "tang", "none"]) == [
        "english",
        "tang",
        "a",
        "b",
    ]


def test_the_first_of_a_language_answers_else_the_first_of_all() -> None:
    languages = {"one": "en", "two": "zh", "three": "zh"}
    assert first_of_language(languages, "zh") == "two"
    assert first_of_language(languages, "de") == "one"
    assert first_of_language(languages, None) == "one"
    assert first_of_language({}, "en") is None
