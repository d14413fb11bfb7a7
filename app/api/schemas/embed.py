"""`POST /embed`: texts to vectors."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from refrain.app.api.schemas.body import Answer, ModelName, Texts, TimedBody


class EmbedBody(TimedBody):
    """What to embed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": ["The ship sank.", "A boat was lost."], "model": "english"}]
        }
    )

    text: Texts = Field(description="One text or several, none of them empty.")
    model: ModelName = None
    pooling: Literal["mean", "last"] = Field(
        "mean", description="The mean of the states after each token, or the state after the last."
    )


class EmbeddingAnswer(Answer):
    """One text's vector."""

    embedding: list[float] = Field(description="As many numbers as the last layer has units.")


class EmbedAnswer(Answer):
    """Vectors in the order of the texts."""

    model: str
    results: list[EmbeddingAnswer]
