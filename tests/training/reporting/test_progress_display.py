"""Progress on a terminal and in a log file."""

import pytest

from refrain.training.reporting import progress_display as module
from refrain.training.reporting.listeners import RunEnd, RunStart, StepReport, ValidationReport
from refrain.training.reporting.progress_display import (
    ProgressBar,
    ProgressLines,
    duration,
    progress_display,
)


def step(number: int) -> StepReport:
    return StepReport(number, 0, 2.5, 0.3, 1e-3, 12_345.6, 1.0)


def test_lines_come_as_often_as_asked_and_say_what_is_left(monkeypatch) -> None:
    clock = iter([0.0, 10.0, 30.0, 40.0, 60.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    lines = ProgressLines(said.append)
    lines.on_start(RunStart(None, 100, 220))
    for number in (110, 130, 140, 160):
        lines.on_step(step(number))
    metrics = "loss 2.500, gradient norm 0.30, learning rate 1.0e-03, 12,346 tokens/s"
    assert said == [
        f"step 130 of 220: {metrics}, 2 min left",
        f"step 160 of 220: {metrics}, 60 s left",
    ]


def test_a_validation_is_a_line_and_its_sample_stands_apart() -> None:
    said: list[str] = []
    lines = ProgressLines(said.append)
    report = ValidationReport(1_200, {"perplexity": 77.5, "loss": 4.35}, is_best=True, sample="兼")
    lines.on_validation(report)
    assert said == [
        "step 1,200: validation perplexity 77.5000, the best so far\n--- sample\n兼\n---"
    ]


def test_a_bar_is_drawn_only_on_a_terminal(monkeypatch, capsys) -> None:
    assert isinstance(progress_display(print), ProgressLines)
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    bar = progress_display(print)
    assert isinstance(bar, ProgressBar)
    bar.on_start(RunStart(None, 0, 3))
    bar.on_step(step(1))
    bar.on_validation(ValidationReport(1, {"accuracy": 0.5}, is_best=False, sample=None))
    bar.on_end(RunEnd(1, "finished"))
    assert "step 1: validation accuracy 0.5000\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.26, "4.3 s"), (75, "75 s"), (600, "10 min"), (11_100, "3 h 5 min")],
)
def test_times_are_said_as_a_person_would(seconds, text) -> None:
    assert duration(seconds) == text
