"""Answers about the next token: of `next`, and of sessions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """A token or a candidate; `unknown` marks one with a word that the vocabulary lacks."""

    token: str
    probability: float
    logprob: float
    unknown: bool | None = None


@dataclass(frozen=True, slots=True)
class NextToken:
    """What may follow one prefix; the entropy is in nats."""

    predictions: tuple[Prediction, ...]
    entropy: float
    candidates: tuple[Prediction, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """The results of `next`, one a prefix."""

    model: str
    results: tuple[NextToken, ...]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session; the word under way is not among its tokens."""

    session: str
    model: str
    num_tokens: int


@dataclass(frozen=True, slots=True)
class SessionNext:
    """What may follow a session's text."""

    session: str
    model: str
    predictions: tuple[Prediction, ...]
    entropy: float
    candidates: tuple[Prediction, ...] | None = None
    state: str | None = None
