"""What each method takes beside its texts, with the names of the HTTP contract.

What is left out has the server's default. `model` names a loaded model; `state` goes on from an earlier answer's;
`timeout` is the seconds after which the server gives the work up. The server's `/docs` explains the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

Texts = str | Sequence[str]


class Timed(TypedDict, total=False):
    """What nearly every method takes."""

    timeout: float | None


class GenerateOptions(Timed, total=False):
    """See `POST /generate`."""

    model: str | None
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    stop: Texts
    seed: int | None
    n: int
    best_of: int | None
    num_beams: int
    length_penalty: float
    logit_bias: Mapping[str, float]
    allowed: Sequence[str] | None
    logprobs: int | None
    state: str | None
    return_state: bool
    ignore_eos: bool


class ScoreOptions(Timed, total=False):
    """See `POST /score`."""

    model: str | None
    per_token: bool
    count_end: bool
    state: str | None
    return_state: bool


class ScoreStridesOptions(Timed, total=False):
    """See `POST /score` with a stride."""

    model: str | None
    count_end: bool
    state: str | None
    return_state: bool


class ScoreStreamOptions(TypedDict, total=False):
    """See `POST /score/stream`."""

    model: str | None
    stride: int
    count_end: bool
    return_state: bool


class ScoreLinesOptions(TypedDict, total=False):
    """See `POST /score/stream` with `unit=line`."""

    model: str | None
    count_end: bool


class SessionNextOptions(Timed, total=False):
    """See `POST /sessions/{session}/next`."""

    top_k: int
    starts_with: str
    candidates: Sequence[str] | None
    normalize: Literal["vocabulary", "candidates"]


class NextOptions(SessionNextOptions, total=False):
    """See `POST /next`."""

    model: str | None
    state: str | None
    return_state: bool


class RescoreOptions(Timed, total=False):
    """See `POST /rescore`."""

    context: str
    weight: float
    length_normalize: bool
    bos: bool
    eos: bool
    normalize: Literal["vocabulary", "hypotheses"]
    model: str | None
    state: str | None


class SentimentOptions(Timed, total=False):
    """See `POST /sentiment`."""

    model: str | None
    language: Literal["en", "zh"] | None


class EmbedOptions(Timed, total=False):
    """See `POST /embed`."""

    model: str | None
    pooling: Literal["mean", "last"]


class SessionOptions(Timed, total=False):
    """See `POST /sessions`."""

    model: str | None
    state: str | None
    adaptive: bool


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was recognised, and the recogniser's own score: a natural log-probability, or alike."""

    text: str
    score: float = 0.0


def hypothesis_values(hypothesis: Hypothesis | str) -> dict[str, object]:
    """Encode a hypothesis as the route takes it; a text alone has no score of its own."""
    if isinstance(hypothesis, str):
        return {"text": hypothesis}
    return {"text": hypothesis.text, "score": hypothesis.score}
