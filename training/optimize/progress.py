"""Where a run stands, and how each update and validation moves that on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from refrain.training.optimize.precision import Precision

PLATEAU_SHARE = 0.003
"""Share by which an epoch must better the validation score, else it counts as a plateau."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    step
        Updates done in all.
    epoch, window
        The next window to read: its epoch and its index in it.
    best
        Best validation score so far (lower is better).
    best_step, best_figures
        When that was, and the metrics of that validation, the one to show first.
    num_worse
        Validations since.
    last_score, num_decays
        The last epoch's score, and how often a plateau has lowered the learning rate.
    seconds
        Time spent, over all sittings.
    precision
        Arithmetic of the run; a resumed run keeps it.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    best: float = float("inf")
    best_step: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    num_worse: int = 0
    last_score: float = float("inf")
    num_decays: int = 0
    seconds: float = 0.0
    precision: Precision = "float32"

    def after_window(
        self, epoch: int, window: int, *, num_windows: int, seconds: float
    ) -> Progress:
        """Return the progress after the update of a window, which took so many seconds."""
        is_last = window + 1 == num_windows
        return replace(
            self,
            step=self.step + 1,
            epoch=epoch + is_last,
            window=0 if is_last else window + 1,
            seconds=self.seconds + seconds,
        )

    def after_validation(self, score: float, metrics: dict[str, float]) -> Progress:
        """Return the progress after a validation: the best one so far, or one more since the best."""
        if score < self.best:
            return replace(self, best=score, best_step=self.step, best_figures=metrics, num_worse=0)
        return replace(self, num_worse=self.num_worse + 1)

    def after_epoch(self, score: float) -> Progress:
        """Return the progress after an epoch's validation.

        The learning rate is lowered from the first epoch on that is hardly better than the last.
        """
        is_plateau = self.num_decays > 0 or score > self.last_score * (1 - PLATEAU_SHARE)
        return replace(self, last_score=score, num_decays=self.num_decays + is_plateau)
