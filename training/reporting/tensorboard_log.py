"""A run in TensorBoard: metrics, samples of text, and the recipe as hyperparameters."""

from __future__ import annotations

from pathlib import Path

from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.listeners import (
    RunEnd,
    RunListener,
    RunStart,
    StepReport,
    ValidationReport,
)
from refrain.training.reporting.optional_package import require


class TensorBoardLog(RunListener):
    """Event files in a folder.

    Raises
    ------
    MissingPackageError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard")
        self._folder = folder

    def on_start(self, start: RunStart) -> None:
        """Open an event file; earlier points of the steps that come now are dropped."""
        from torch.utils.tensorboard import SummaryWriter

        first = start.step + 1 if start.step else 0
        self._writer = SummaryWriter(str(self._folder), purge_step=first, flush_secs=30)
        self._write_recipe(start.recipe)

    def on_step(self, report: StepReport) -> None:
        if not report.is_logged:
            return
        for name, value in report.metrics.items():
            self._writer.add_scalar(f"train/{name}", value, report.step)

    def on_validation(self, report: ValidationReport) -> None:
        for name, value in report.metrics.items():
            self._writer.add_scalar(f"validation/{name}", value, report.step)
        if report.sample is not None:
            self._writer.add_text("sample", _as_code(report.sample), report.step)
        self._writer.flush()

    def on_end(self, end: RunEnd) -> None:
        if end.outcome == "finished":
            self._writer._get_file_writer().add_summary(self._last_hyperparameters)
        self._writer.close()

    def _write_recipe(self, recipe: TrainRecipe) -> None:
        """Write this run for the tab of hyperparameters, to the run's own file."""
        from torch.utils.tensorboard.summary import hparams

        figure = "accuracy" if recipe.task == "classifier" else "perplexity"
        values = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for name, value in recipe.flattened().items()
        }
        metrics = {"train/loss": 0.0, f"validation/{figure}": 0.0}
        experiment, first, self._last_hyperparameters = hparams(values, metrics)
        for summary in (experiment, first):
            self._writer._get_file_writer().add_summary(summary)


def _as_code(text: str) -> str:
    """Indent, so that Markdown leaves the lines as they are."""
    return "\n".join(f"    {line}" for line in text.splitlines())
