"""Which model answers where none is named."""

from app.services.model_choice import first_of_language, in_order


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
