"""Reports of a run while it goes on, and the listeners that receive them, which may end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from refrain.training.recipe.train_recipe import TrainRecipe

LOG_EVERY = 20
"""Steps between two points of a log."""


@dataclass(frozen=True)
class RunStart:
    """A run begins, or goes on after `step`."""

    recipe: TrainRecipe
    step: int
    num_steps: int


@dataclass(frozen=True)
class StepReport:
    """One update.

    Attributes
    ----------
    step, epoch
        Updates done, and where the run stands after this one.
    loss
        Mean cross-entropy in nats.
    gradient_norm
        Before it was clipped.
    seconds
        Time spent so far, over all sittings.
    """

    step: int
    epoch: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    seconds: float

    @property
    def is_logged(self) -> bool:
        """Whether a log keeps this step."""
        return self.step == 1 or self.step % LOG_EVERY == 0

    @property
    def metrics(self) -> dict[str, float]:
        """What a plot shows."""
        return {
            "loss": self.loss,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.learning_rate,
            "tokens_per_second": self.tokens_per_second,
        }


@dataclass(frozen=True)
class ValidationReport:
    """Metrics on the validation split, and what the model writes by now, if it writes."""

    step: int
    metrics: Mapping[str, float]
    is_best: bool
    sample: str | None


@dataclass(frozen=True)
class RunEnd:
    """A run is over: finished, stopped by a signal or a listener (it can go on), or failed."""

    step: int
    outcome: Literal["finished", "stopped", "failed"]


class RunListener:
    """Receives the reports of a run; a subclass overrides what concerns it."""

    @property
    def should_stop(self) -> bool:
        """Whether the run is to end after the step at hand, as Ctrl-C would end it.

        Asked once a step, after its validation if it has one. The run keeps a snapshot, from which it can go on, and
        raises `TrainingStoppedError`; after its last step it finishes instead.
        """
        return False

    def on_start(self, start: RunStart) -> None:
        """The run begins, or goes on: what comes after `start.step` will be reported again."""

    def on_step(self, report: StepReport) -> None:
        """One update is done."""

    def on_validation(self, report: ValidationReport) -> None:
        """The validation split was measured."""

    def on_message(self, text: str) -> None:
        """Something for a person to read."""

    def on_end(self, end: RunEnd) -> None:
        """The run is over, for whatever reason."""


class ListenerGroup(RunListener):
    """Several listeners, notified one after another."""

    def __init__(self, listeners: Sequence[RunListener]) -> None:
        self._listeners = listeners

    @property
    def should_stop(self) -> bool:
        """Whether any of them asks the run to end."""
        return any(listener.should_stop for listener in self._listeners)

    def on_start(self, start: RunStart) -> None:
        for listener in self._listeners:
            listener.on_start(start)

    def on_step(self, report: StepReport) -> None:
        for listener in self._listeners:
            listener.on_step(report)

    def on_validation(self, report: ValidationReport) -> None:
        for listener in self._listeners:
            listener.on_validation(report)

    def on_message(self, text: str) -> None:
        for listener in self._listeners:
            listener.on_message(text)

    def on_end(self, end: RunEnd) -> None:
        for listener in self._listeners:
            listener.on_end(end)


class StopAtStep(RunListener):
    """Ends a run after a step, as Ctrl-C would; a run that goes on from there or later is left alone."""

    def __init__(self, step: int) -> None:
        self._last_step = step
        self._step = 0

    def on_step(self, report: StepReport) -> None:
        self._step = report.step

    @property
    def should_stop(self) -> bool:
        """Whether the step is the last one."""
        return self._step == self._last_step
