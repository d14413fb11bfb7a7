"""Class probabilities read as a sentiment."""

import pytest

from refrain.inference.operations.classification import sentiment_of
from refrain.models.config import ClassifierConfig


def config(*scores: float) -> ClassifierConfig:
    labels = ("negative", "neutral", "positive")[: len(scores)]
    return ClassifierConfig(vocab_size=9, labels=labels, label_scores=scores)


def test_the_label_is_that_of_the_likeliest_class_and_the_first_of_equals() -> None:
    three = config(0.0, 0.5, 1.0)
    assert sentiment_of(three, [0.2, 0.3, 0.5], "m").label == "positive"
    assert sentiment_of(three, [0.4, 0.2, 0.4], "m").label == "negative"


def test_every_class_has_its_probability_by_name() -> None:
    found = sentiment_of(config(0.0, 0.5, 1.0), [0.2, 0.3, 0.5], "small")
    assert found.probabilities == {"negative": 0.2, "neutral": 0.3, "positive": 0.5}
    assert found.model == "small"


@pytest.mark.parametrize(
    ("probabilities", "stars"),
    [([1.0, 0.0, 0.0], 0), ([0.0, 0.0, 1.0], 5), ([0.2, 0.3, 0.5], 5 * 0.65), ([0, 1, 0], 2.5)],
)
def test_stars_are_the_expected_score_of_the_class(probabilities, stars) -> None:
    found = sentiment_of(config(0.0, 0.5, 1.0), probabilities, "m")
    assert found.stars == pytest.approx(stars)


def test_rounding_leaves_no_more_than_five_stars_and_no_less_than_none() -> None:
    two = config(0.0, 1.0)
    assert sentiment_of(two, [0.0, 1.0000001], "m").stars == 5
    assert sentiment_of(two, [1.0, -1e-9], "m").stars == 0


def test_classes_without_a_probability_are_a_fault_that_is_seen() -> None:
    with pytest.raises(ValueError, match="zip"):
        sentiment_of(config(0.0, 0.5, 1.0), [0.5, 0.5], "m")


def test_a_sentiment_as_json_has_the_names_of_the_route() -> None:
    assert sentiment_of(config(0.0, 1.0), [0.25, 0.75], "m").as_json() == {
        "label": "neutral",
        "probabilities": {"negative": 0.25, "neutral": 0.75},
        "stars": 3.75,
        "model": "m",
    }
