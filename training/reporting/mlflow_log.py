"""A run in MLflow: metrics, samples of text, and the recipe as parameters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.models.errors import how_to_install
from refrain.training.errors import MissingPackageError, TrackingError
from refrain.training.reporting.console import Log
from refrain.training.reporting.listeners import (
    RunEnd,
    RunListener,
    RunStart,
    StepReport,
    ValidationReport,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "refrain"
OUTPUT_TAG = "refrain.output"
LONGEST_PARAMETER = 6_000
STATUSES = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowLog(RunListener):
    """A run of the experiment `refrain`, on a server or in a folder.

    A run that goes on is found by its output folder; points that it has already are not sent again. Where MLflow
    stops answering, the run goes on without it.

    Parameters
    ----------
    uri
        A server's address or a folder.
    output
        The checkpoint's folder.
    log
        Reports a line of text.

    Raises
    ------
    MissingPackageError
        If MLflow is not installed.
    TrackingError
        If the server does not answer, or the folder is of no use.
    """

    def __init__(self, uri: str, output: Path, log: Log) -> None:
        self._client = _connect(uri)
        self._output = str(output.resolve())
        self._log = log
        self._is_lost = False
        self._last_steps: dict[str, int] = {}
        try:
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            self._experiment_id = (
                experiment.experiment_id
                if experiment
                else self._client.create_experiment(EXPERIMENT)
            )
        except _failures() as error:
            raise TrackingError(f"--mlflow {uri}: {error}") from error

    def on_start(self, start: RunStart) -> None:
        self._try(lambda: self._open_run(start))

    def on_step(self, report: StepReport) -> None:
        if report.is_logged:
            self._try(lambda: self._send("train", report.step, report.metrics))

    def on_validation(self, report: ValidationReport) -> None:
        self._try(lambda: self._send("validation", report.step, report.metrics))
        if report.sample is not None:
            name, text = f"samples/step-{report.step:08}.txt", report.sample
            self._try(lambda: self._client.log_text(self._run_id, text, name))

    def on_end(self, end: RunEnd) -> None:
        self._try(lambda: self._client.set_terminated(self._run_id, STATUSES[end.outcome]))

    def _open_run(self, start: RunStart) -> None:
        from mlflow.entities import Param

        found = self._find_run() if start.step else None
        if found is not None:
            self._run_id = found
            self._client.update_run(found, status="RUNNING")
            self._last_steps = self._steps_sent(found)
            return
        run = self._client.create_run(
            self._experiment_id, run_name=start.recipe.name, tags={OUTPUT_TAG: self._output}
        )
        self._run_id = run.info.run_id
        values = start.recipe.flattened().items()
        parameters = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in values]
        self._client.log_batch(self._run_id, params=parameters)

    def _find_run(self) -> str | None:
        """Return the latest run that wrote to the same output."""
        runs = self._client.search_runs(
            [self._experiment_id], order_by=["attributes.start_time DESC"]
        )
        ids = [run.info.run_id for run in runs if run.data.tags.get(OUTPUT_TAG) == self._output]
        return ids[0] if ids else None

    def _steps_sent(self, run_id: str) -> dict[str, int]:
        """Return the last step of each metric: a killed run may have sent more than its snapshot knows."""
        names = self._client.get_run(run_id).data.metrics
        return {
            name: max(point.step for point in self._client.get_metric_history(run_id, name))
            for name in names
        }

    def _send(self, part: str, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        points = [
            Metric(f"{part}/{name}", value, now, step)
            for name, value in metrics.items()
            if step > self._last_steps.get(f"{part}/{name}", 0)
        ]
        if points:
            self._client.log_batch(self._run_id, metrics=points)

    def _try(self, call: Callable[[], None]) -> None:
        if self._is_lost:
            return
        try:
            call()
        except _failures() as error:
            self._is_lost = True
            self._log(f"MLflow gets no more points, the run goes on: {error}")


def _connect(uri: str) -> MlflowClient:
    """Make a client of a server, or of a folder, which MLflow takes only when that is allowed."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    is_folder = "://" not in uri or uri.startswith("file:")
    if is_folder:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    if "://" not in uri:
        uri = Path(uri).resolve().as_uri()
    try:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)
    except ImportError as error:
        raise MissingPackageError(
            f"--mlflow needs MLflow: {how_to_install('mlflow')}; for a database of one's own "
            f"in place of a server or a folder: pip install mlflow ({error})"
        ) from error
    except _failures() as error:
        raise TrackingError(f"--mlflow {uri}: {error}") from error


def _failures() -> tuple[type[Exception], ...]:
    """Return what a server that is gone, or a folder that cannot be written, raises."""
    from mlflow.exceptions import MlflowException

    return MlflowException, OSError
