"""`POST /score`: texts to their likelihood."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, model_validator
from pydantic_core import PydanticCustomError

from refrain.app.api.schemas.body import Answer, ModelName, ReturnState, State, Texts, TimedBody
from refrain.inference.operations.scoring import ScoreParams


class ScoreBody(TimedBody):
    """What to measure."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "The ship was built in 1910 and sank in the war.", "model": "english"}
            ]
        }
    )

    text: Texts = Field(description="One text or several; each is read from its beginning.")
    model: ModelName = None
    per_token: bool = Field(default=False, description="Report every token.")
    count_end: bool = Field(
        default=False,
        description="Count the end of the text as one more token, as evaluation does.",
    )
    stride: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="Of one text: answer as `/score/stream` does, with a line of JSON for every so many tokens.",
    )
    state: State = None
    return_state: ReturnState = False

    @model_validator(mode="wrap")
    @classmethod
    def _stream_one_text_as_a_whole(
        cls, values: Any, handler: ModelWrapValidatorHandler[ScoreBody]
    ) -> ScoreBody:
        body = handler(values)
        if body.stride is not None and (body.per_token or not isinstance(values["text"], str)):
            message = "stride takes one text, without per_token"
            raise PydanticCustomError("stride", message, {"name": "stride"})
        return body

    def params(self) -> ScoreParams:
        """Return how the texts are measured."""
        return ScoreParams(**self.taken(ScoreParams))


class TokenScoreAnswer(Answer):
    """One token and where it stands in the text, in characters."""

    token: str
    logprob: float
    rank: int = Field(description="1 where the model found no token likelier.")
    start: int
    end: int
    unknown: bool | None = Field(
        None,
        description="True of a token that the vocabulary lacks: its figures are those of any such word.",
    )


class TextScoreAnswer(Answer):
    """The score of one text."""

    perplexity: float | None = Field(description="exp of the mean negative log-probability.")
    log_likelihood: float = Field(description="Sum of natural log-probabilities, in nats.")
    num_tokens: int
    num_unknown: int = Field(description="Tokens that the vocabulary does not have.")
    bits_per_character: float | None
    tokens: list[TokenScoreAnswer] | None = None
    state: str | None = None


class ScoreAnswer(Answer):
    """One result a text."""

    model: str
    results: list[TextScoreAnswer]
