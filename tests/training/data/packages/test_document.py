"""What all sources do to their texts."""

from refrain.training.data.packages.document import Document, Repeats, tidy


def test_space_and_control_characters_become_single_spaces() -> None:
    assert tidy("\n a\t\x02b \xa0c ") == "a b c"


def test_a_long_paragraph_is_kept_once_and_a_short_one_on_every_page() -> None:
    long = "To open this dialog, choose Tools and then Options."
    repeats = Repeats()
    assert repeats.without(["Options", long, "Options"]) == ["Options", long]
    assert repeats.without(["Options", long, "Next"]) == ["Options", "Next"]


def test_words_are_runs_without_white_space() -> None:
    assert Document("a", "one two\nthree, four").num_words == 4
