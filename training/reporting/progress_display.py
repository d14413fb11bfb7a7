"""What a person sees of a run: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from refrain.training.reporting.console import Log
from refrain.training.reporting.listeners import (
    RunEnd,
    RunListener,
    RunStart,
    StepReport,
    ValidationReport,
)
from refrain.training.reporting.progress_bar import SECONDS_BETWEEN_LINES


def progress_display(log: Log) -> RunListener:
    """Take a bar where there is a terminal to draw it on, else lines that are passed to `log`."""
    return ProgressBar() if sys.stderr.isatty() else ProgressLines(log)


class ProgressBar(RunListener):
    """A bar that is drawn over itself."""

    def __init__(self) -> None:
        self._validation = ""

    def on_start(self, start: RunStart) -> None:
        self._bar = tqdm(total=start.num_steps, initial=start.step, unit="step", mininterval=1.0)

    def on_step(self, report: StepReport) -> None:
        self._bar.set_postfix_str(
            f"loss {report.loss:.3f}{self._validation} |g| {report.gradient_norm:.2f} "
            f"lr {report.learning_rate:.1e} {report.tokens_per_second:,.0f} tokens/s",
            refresh=False,
        )
        self._bar.update()

    def on_validation(self, report: ValidationReport) -> None:
        name, value = next(iter(report.metrics.items()))
        self._validation = f" val {name} {value:.4g}"
        self._bar.write(validation_text(report))

    def on_message(self, text: str) -> None:
        self._bar.write(text)

    def on_end(self, end: RunEnd) -> None:  # noqa: ARG002
        self._bar.close()


class ProgressLines(RunListener):
    """A line every half a minute, for a log file."""

    def __init__(self, log: Log, seconds_between: float = SECONDS_BETWEEN_LINES) -> None:
        self._log = log
        self._seconds_between = seconds_between

    def on_start(self, start: RunStart) -> None:
        self._first_step = start.step
        self._num_steps = start.num_steps
        self._started = self._last_line = time.monotonic()

    def on_step(self, report: StepReport) -> None:
        now = time.monotonic()
        if now - self._last_line < self._seconds_between:
            return
        self._last_line = now
        seconds_a_step = (now - self._started) / (report.step - self._first_step)
        left = seconds_a_step * (self._num_steps - report.step)
        self._log(
            f"step {report.step:,} of {self._num_steps:,}: loss {report.loss:.3f}, "
            f"gradient norm {report.gradient_norm:.2f}, learning rate {report.learning_rate:.1e}, "
            f"{report.tokens_per_second:,.0f} tokens/s, {duration(left)} left"
        )

    def on_validation(self, report: ValidationReport) -> None:
        self._log(validation_text(report))

    def on_message(self, text: str) -> None:
        self._log(text)


def validation_text(report: ValidationReport) -> str:
    """Describe how good the model is by now, and what it writes."""
    name, value = next(iter(report.metrics.items()))
    line = f"step {report.step:,}: validation {name} {value:.4f}"
    line += ", the best so far" if report.is_best else ""
    return line if report.sample is None else f"{line}\n--- sample\n{report.sample}\n---"


def duration(seconds: float) -> str:
    """Return a time as a person would write it: "40 s", "12 min", "3 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
