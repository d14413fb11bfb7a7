"""How a model learned, from the log that its training left beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

RUN_LOG = "run_log.jsonl"
MAX_POINTS = 120
FIGURES = ("perplexity", "accuracy")
PointT = TypeVar("PointT")


@dataclass(frozen=True)
class TrainingPoint:
    """The loss of a step of training, in nats a token or text."""

    step: int
    loss: float


@dataclass(frozen=True)
class ValidationPoint:
    """What validation measured after a step: `name` is "perplexity" or "accuracy"."""

    step: int
    name: str
    value: float


@dataclass(frozen=True)
class LearningCurve:
    """Both curves, thinned to so many points that a picture needs; empty where no log was kept."""

    training: list[TrainingPoint]
    validation: list[ValidationPoint]


def read_learning_curve(directory: Path) -> LearningCurve:
    """Read a checkpoint's log; lines that are none, as a killed run may leave one, are passed over."""
    try:
        lines = (directory / RUN_LOG).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    events = [event for line in lines if (event := _event(line))]
    training = [
        TrainingPoint(event["step"], float(event["loss"]))
        for event in events
        if event.get("event") == "step" and _is_number(event.get("loss"))
    ]
    validation = [
        ValidationPoint(event["step"], name, float(event[name]))
        for event in events
        if event.get("event") == "validation"
        for name in FIGURES
        if _is_number(event.get(name))
    ]
    return LearningCurve(thinned(training), thinned(validation))


def thinned(points: Sequence[PointT], most: int = MAX_POINTS) -> list[PointT]:
    """Keep the first point, the last, and others at even distances between them."""
    if len(points) <= most:
        return list(points)
    last = len(points) - 1
    return [points[round(place * last / (most - 1))] for place in range(most)]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    is_event = isinstance(event, dict) and isinstance(event.get("step"), int)
    return event if is_event else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < float("inf")
