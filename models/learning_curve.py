"""How a model learned, from the log that its training left beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from refrain.models.checkpoint import RUN_LOG

MAX_POINTS = 120
MAX_LOG_BYTES = 16 * 2**20
"""A checkpoint may come from anybody: what lies beyond is not read."""
MAX_STEP = 2**53 - 1
"""The largest that every reader of JSON counts exactly."""
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


class LearningCurves:
    """The curves of checkpoints; a log is read again only once it has changed."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int | None, LearningCurve]] = {}

    def of(self, directory: Path) -> LearningCurve:
        """Return the curve of the checkpoint in a folder."""
        changed = _time_of_change(directory / RUN_LOG)
        if directory not in self._read or self._read[directory][0] != changed:
            self._read[directory] = changed, read_learning_curve(directory)
        return self._read[directory][1]


def read_learning_curve(directory: Path) -> LearningCurve:
    """Read a checkpoint's log; lines that are none, as a killed run may leave one, are passed over."""
    try:
        with (directory / RUN_LOG).open("rb") as file:
            text = file.read(MAX_LOG_BYTES).decode("utf-8", errors="replace")
    except OSError:
        text = ""
    training, validation = [], []
    for event in filter(None, map(_event, text.splitlines())):
        if event.get("event") == "step" and _is_number(event.get("loss")):
            training.append(TrainingPoint(event["step"], float(event["loss"])))
        if event.get("event") == "validation":
            validation += [
                ValidationPoint(event["step"], name, float(event[name]))
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


def _time_of_change(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, digits without end, brackets without end
        return None
    if not isinstance(event, dict):
        return None
    step = event.get("step")
    return event if type(step) is int and 0 <= step <= MAX_STEP else None


def _is_number(value: Any) -> bool:
    """Return whether something is a number, and no larger than a float can be; `true` is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max
