"""`POST /sentiment`: reviews to stars."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from refrain.app.api.schemas.body import Answer, ModelName, Texts, TimedBody


class SentimentBody(TimedBody):
    """What to classify."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": ["A lovely film with lovely performances.", "房间太小，服务很差。"]}
            ]
        }
    )

    text: Texts = Field(description="One review or several.")
    model: ModelName = None
    language: Literal["en", "zh"] | None = Field(
        None, description="Language of the texts; without it, each one's script decides."
    )


class SentimentResult(Answer):
    """The sentiment of one text."""

    label: str
    probabilities: dict[str, float]
    stars: float = Field(description="From 0 to 5.")
    model: str


class SentimentAnswer(Answer):
    """One result a text."""

    results: list[SentimentResult]
