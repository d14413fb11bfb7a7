"""Answers about the models that a server has loaded, and how they learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured metric; `model` is empty for the model itself, else a baseline's name."""

    name: str
    split: str
    value: float
    model: str


@dataclass(frozen=True, slots=True)
class Model:
    """One loaded model; `source` is "shipped" or "folder", where it came from."""

    name: str
    source: str
    task: str
    language: str
    description: str
    tokenizer: str
    vocab_size: int
    num_parameters: int | None
    precision: str
    config: Mapping[str, Any]
    training_data: str
    training: Mapping[str, Any]
    license: str
    quality: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Models:
    """Every loaded model."""

    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """The loss of one step of training."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class ValidationPoint:
    """What validation measured after a step: `perplexity` or `accuracy`."""

    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How a model learned; empty where its training left no log."""

    model: str
    training: tuple[TrainingPoint, ...]
    validation: tuple[ValidationPoint, ...]
