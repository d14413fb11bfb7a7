"""`POST /next`: prefixes to the next token's probabilities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from refrain.app.api.schemas.body import Answer, ModelName, ReturnState, State, Texts, TimedBody
from refrain.inference.operations.next_token import BOUNDS, NextQuery


def check_comparison(normalize: str, candidates: list[str] | None) -> None:
    """Refuse to compare candidates that are not given."""
    if normalize == "candidates" and candidates is None:
        message = "normalize among candidates needs candidates"
        raise PydanticCustomError("candidates", message, {"name": "candidates"})


class NextBody(TimedBody):
    """What has been written so far, and what is asked of the next token."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prefix": "The capital of the United", "top_k": 5}]}
    )

    prefix: Texts = Field(
        "",
        validate_default=True,
        description="One text or several; empty for the beginning of a text.",
    )
    model: ModelName = None
    top_k: int = Field(
        10,
        **BOUNDS["top_k"],
        description="How many predictions to report; `<unk>`, all words that the vocabulary lacks together, is among "
        "them only where the whole vocabulary is asked for.",
    )
    starts_with: str = Field(
        "", max_length=100, description="Letters already typed of the word under way."
    )
    candidates: Annotated[list[str], Field(min_length=1, max_length=128)] | None = Field(
        None, description="Words or texts whose probability to report too."
    )
    normalize: Literal["vocabulary", "candidates"] = Field(
        "vocabulary",
        description="`candidates`: probabilities among the candidates alone, each of one token; no other word's is "
        "computed, which is several times as fast.",
    )
    state: State = None
    return_state: ReturnState = False

    @model_validator(mode="after")
    def _compare_what_is_given(self) -> NextBody:
        check_comparison(self.normalize, self.candidates)
        return self

    def query(self) -> NextQuery:
        """Return what is asked of the next token."""
        return NextQuery(**self.taken(NextQuery))


class PredictionAnswer(Answer):
    """A token, or a candidate, and its probability over the whole vocabulary."""

    token: str
    probability: float
    logprob: float
    unknown: bool | None = Field(
        None,
        description="True of a candidate with a word that the vocabulary lacks: the figure is that of any such word.",
    )


class NextTokenAnswer(Answer):
    """What may follow one prefix."""

    predictions: list[PredictionAnswer]
    entropy: float = Field(description="Of the distribution, in nats.")
    candidates: list[PredictionAnswer] | None = None
    state: str | None = None


class NextAnswer(Answer):
    """One result a prefix."""

    model: str
    results: list[NextTokenAnswer]
