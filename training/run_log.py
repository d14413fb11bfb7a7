"""The run log: one JSON object a line, appended as the run goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.listeners import RunListener, RunStart, StepReport, ValidationReport


class RunLog(RunListener):
    """A JSON-lines file of what happened at which step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_start(self, start: RunStart) -> None:
        """Drop the events after the step from which the run goes on; all of them if it begins."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not start.step:
            self._path.unlink(missing_ok=True)
        if not self._path.exists():
            return
        events = map(_read, self._path.read_text("utf-8").splitlines())
        kept = [event for event in events if event and event.get("step", 0) <= start.step]
        self._path.write_text("".join(_line(event) for event in kept), "utf-8")

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
        self._write("validation", step=report.step, **report.figures, **sample)

    def _write(self, event: str, **values: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line({"event": event, **values}))


def _read(line: str) -> dict[str, Any] | None:
    """Read one line; None for one that a kill has cut."""
    try:
        event: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"
