"""`GET /models`: what is loaded."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from refrain.app.api.schemas.body import Answer


class MetricAnswer(Answer):
    """One measured metric."""

    name: str
    split: str
    value: float
    model: str = Field(description="Empty for the model itself, else a baseline's name.")


class ModelAnswer(Answer):
    """One loaded model."""

    name: str
    source: Literal["shipped", "folder"] = Field(
        description="Whether it came with Refrain, or from a folder of one's own."
    )
    task: str
    language: str
    description: str
    tokenizer: str
    vocab_size: int
    num_parameters: int | None
    precision: str = Field(description="Numbers that it computes with: int8, bf16 or fp32.")
    config: dict[str, Any] = Field(description="Cell, sizes, and what else defines the network.")
    training_data: str
    training: dict[str, Any]
    license: str
    quality: list[MetricAnswer]


class TrainingPointAnswer(Answer):
    """The loss of one step of training."""

    step: int
    loss: float = Field(description="Mean natural log-loss, of a token or a text.")


class ValidationPointAnswer(Answer):
    """What validation measured after a step."""

    step: int
    name: str = Field(description="`perplexity` or `accuracy`.")
    value: float


class LearningCurveAnswer(Answer):
    """How a model learned; empty lists where its training left no log."""

    model: str
    training: list[TrainingPointAnswer]
    validation: list[ValidationPointAnswer]


class ModelsAnswer(Answer):
    """Every loaded model."""

    models: list[ModelAnswer]
