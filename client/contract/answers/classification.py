"""Answers of `sentiment`: the class of each text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentiment:
    """What one review thinks; stars are from 0 to 5."""

    label: str
    probabilities: Mapping[str, float]
    stars: float
    model: str


@dataclass(frozen=True, slots=True)
class Sentiments:
    """The results of `sentiment`, one a text."""

    results: tuple[Sentiment, ...]
