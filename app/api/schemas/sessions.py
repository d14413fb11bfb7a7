"""`/sessions`: texts that grow on the server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from refrain.app.api.schemas.body import Answer, ModelName, State, TimedBody
from refrain.app.api.schemas.next_token import NextTokenAnswer, check_comparison
from refrain.inference.operations.next_token import NextQuery


class SessionBody(TimedBody):
    """How a session begins."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "english", "text": "The capital of"}]}
    )

    text: str = Field("", description="What has been written so far.")
    model: ModelName = None
    state: State = None
    adaptive: bool = Field(
        default=False,
        description="Words that the text has had become likelier (a neural cache): for one who writes on his own "
        "subjects. What is learned is the session's alone, and forgotten with it.",
    )


class AppendBody(TimedBody):
    """What was typed since the last time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": " the United"}]})

    text: str


class SessionNextBody(TimedBody):
    """What is asked of the next token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"top_k": 3}]})

    top_k: int = Field(10, ge=0, le=1_000_000, description="How many predictions to report.")
    starts_with: str = Field(
        "", max_length=100, description="Letters already typed of the word to come, not appended."
    )
    candidates: Annotated[list[str], Field(min_length=1, max_length=128)] | None = Field(
        None, description="Words or texts whose probability to report too."
    )
    normalize: Literal["vocabulary", "candidates"] = Field(
        "vocabulary",
        description="`candidates`: probabilities among the candidates alone, each of one token; no other word's is "
        "computed, which is several times as fast.",
    )

    @model_validator(mode="after")
    def _compare_what_is_given(self) -> SessionNextBody:
        check_comparison(self.normalize, self.candidates)
        return self

    def query(self) -> NextQuery:
        """Return what is asked of the next token."""
        return NextQuery(**self.taken(NextQuery))


class SessionAnswer(Answer):
    """A session."""

    session: str
    model: str
    num_tokens: int = Field(description="Tokens read; the word under way is not among them.")


class SessionNextAnswer(NextTokenAnswer):
    """What may follow a session's text."""

    session: str
    model: str
