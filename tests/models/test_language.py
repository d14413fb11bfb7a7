"""Which language a text is in, by its script."""

import pytest

from models.language import recognise_language


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
