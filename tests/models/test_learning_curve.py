"""Learning curves of logs that anybody may have written: what is no event is passed over, what is long is not read."""

import os

import pytest

from refrain.models import learning_curve
from refrain.models.checkpoint import RUN_LOG
from refrain.models.learning_curve import LearningCurves, read_learning_curve

GOOD = '{"event": "step", "step": 2, "loss": 3.5}'


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "step", "step": 1, "loss": %s}' % ("9" * 400),
        '{"event": "step", "step": 1, "loss": -1e999}',
        '{"event": "step", "step": 1, "loss": true}',
        '{"event": "step", "step": true, "loss": 1.5}',
        '{"event": "step", "step": -1, "loss": 1.5}',
        '{"event": "step", "step": %s, "loss": 1.5}' % ("9" * 40),
        '{"event": "step", "step": %s, "loss": 1.5}' % ("9" * 5_000),
        '{"event": "validation", "step": 1, "perplexity": %s}' % ("9" * 400),
        "[" * 100_000,
    ],
    ids=lambda line: line[:60],
)
def test_a_line_that_is_no_event_is_passed_over(tmp_path, line) -> None:
    (tmp_path / RUN_LOG).write_text(f"{line}\n{GOOD}\n", "utf-8")
    curve = read_learning_curve(tmp_path)
    assert [(point.step, point.loss) for point in curve.training] == [(2, 3.5)]
    assert curve.validation == []


def test_no_more_of_a_log_is_read_than_its_limit(tmp_path, monkeypatch) -> None:
    (tmp_path / RUN_LOG).write_text(f"{GOOD}\n" * 100, "utf-8")
    monkeypatch.setattr(learning_curve, "MAX_LOG_BYTES", 10 * (len(GOOD) + 1) + 5)
    assert len(read_learning_curve(tmp_path).training) == 10


def test_a_log_is_read_again_only_once_it_has_changed(tmp_path) -> None:
    log = tmp_path / "small" / RUN_LOG
    curves = LearningCurves()
    assert curves.of(log.parent).training == []
    log.parent.mkdir()
    log.write_text(GOOD, "utf-8")
    first = curves.of(log.parent)
    assert [point.step for point in first.training] == [2]
    assert curves.of(log.parent) is first
    log.write_text(GOOD.replace("2", "3"), "utf-8")
    os.utime(log, ns=(1, 1))
    assert [point.step for point in curves.of(log.parent).training] == [3]
