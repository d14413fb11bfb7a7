"""What a text thinks: its class, the probabilities, and stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refrain.inference.plain import Plain
from refrain.models.config import ClassifierConfig

MAX_BATCH = 32
"""Texts that a classifier reads together."""


@dataclass(frozen=True)
class Sentiment(Plain):
    """The sentiment of one text; stars from 0 to 5 are the expected score of its class."""

    label: str
    probabilities: dict[str, float]
    stars: float
    model: str


def sentiment_of(config: ClassifierConfig, probabilities: Sequence[float], model: str) -> Sentiment:
    """Read class probabilities as a sentiment."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    score = sum(p * s for p, s in zip(probabilities, config.label_scores, strict=True))
    return Sentiment(
        label=config.labels[best],
        probabilities=dict(zip(config.labels, probabilities, strict=True)),
        stars=5 * min(1.0, max(0.0, score)),
        model=model,
    )
