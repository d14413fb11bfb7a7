"""`POST /rescore`: hypotheses of a recogniser, ordered by how they read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from refrain.app.api.schemas.body import Answer, Body, ModelName, State, TimedBody
from refrain.inference.operations.rescoring import BOUNDS, Hypothesis, RescoringParams


class HypothesisBody(Body):
    """What was recognised."""

    text: str
    score: float = Field(
        0.0, description="The recogniser's own score: a natural log-probability, or alike."
    )


class RescoreBody(TimedBody):
    """What to order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "context": "The ship was built",
                    "hypotheses": [
                        {"text": "inn nineteen ten", "score": -4.1},
                        {"text": "in 1910", "score": -4.3},
                    ],
                    "weight": 0.5,
                    "model": "english",
                }
            ]
        }
    )

    context: str = Field("", description="What stands before every hypothesis.")
    hypotheses: Annotated[list[HypothesisBody], Field(min_length=1, max_length=1000)]
    weight: float = Field(
        1.0, **BOUNDS["weight"], description="Of the language model's log-likelihood."
    )
    length_normalize: bool = Field(
        default=False, description="Take the log-likelihood of the mean token, not of the whole."
    )
    bos: bool = Field(
        default=True,
        description="Without a context: a hypothesis begins a text. False leaves its first token out.",
    )
    eos: bool = Field(default=False, description="Count the end of the text after each.")
    normalize: Literal["vocabulary", "hypotheses"] = Field(
        "vocabulary",
        description="`hypotheses`: every word's probability is that among the words of all hypotheses; no other word's "
        "is computed, which is several times as fast, and a rougher measure.",
    )
    model: ModelName = None
    state: State = None

    def proposed(self) -> list[Hypothesis]:
        """Return what the recogniser proposes."""
        return [Hypothesis(each.text, each.score) for each in self.hypotheses]

    def params(self) -> RescoringParams:
        """Return how hypotheses are compared."""
        return RescoringParams(**self.taken(RescoringParams))


class RescoredAnswer(Answer):
    """A hypothesis with each part of its score."""

    text: str
    total: float = Field(
        description="given + weight x log_likelihood (of the mean token if so asked)."
    )
    given: float
    log_likelihood: float
    num_tokens: int
    num_unknown: int


class RescoreAnswer(Answer):
    """The hypotheses, best first."""

    model: str
    hypotheses: list[RescoredAnswer]
