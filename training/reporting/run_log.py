"""The run log: one JSON object a line, appended as the run goes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from refrain.training.reporting.console import Log
from refrain.training.reporting.listeners import RunListener, RunStart, StepReport, ValidationReport


class RunLog(RunListener):
    """A JSON-lines file of what happened at which step.

    Parameters
    ----------
    log
        Reports lines that the disk does not take; the run goes on without them.
    """

    def __init__(self, path: Path, log: Log) -> None:
        self._path = path
        self._log = log
        self._is_failing = False

    def on_start(self, start: RunStart) -> None:
        """Drop the events after the step from which the run goes on; all of them if it begins."""
        if not self._path.exists():
            return
        kept = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            event = _read(line)
            if event is None or event.get("step", 0) > start.step:
                break
            kept += len(line)
        os.truncate(self._path, kept)

    def on_step(self, report: StepReport) -> None:
        if report.is_logged:
            self._write(
                "step",
                step=report.step,
                epoch=report.epoch,
                loss=round(report.loss, 5),
                gradient_norm=round(report.gradient_norm, 4),
                learning_rate=report.learning_rate,
                tokens_per_second=round(report.tokens_per_second),
                seconds=round(report.seconds, 1),
            )

    def on_validation(self, report: ValidationReport) -> None:
        sample = {} if report.sample is None else {"sample": report.sample}
        self._write("validation", step=report.step, **report.metrics, **sample)

    def _write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}, ensure_ascii=False) + "\n"
        try:
            _append(self._path, line.encode())
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._log(f"{self._path} lacks what happens from here on: {error.strerror}")
            self._is_failing = True


def _append(path: Path, line: bytes) -> None:
    """Write a whole line or nothing: half of one would spoil the next."""
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(before)
            raise


def _read(line: bytes) -> dict[str, Any] | None:
    """Read one line; None for one that a kill has cut."""
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return event
