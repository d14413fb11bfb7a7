"""Listeners are told of a run, once each, whatever ends it; one of them may end it."""

import json

import pytest

from refrain.training.errors import TrainingStoppedError
from refrain.training.reporting.listeners import RunListener, StopAtStep
from refrain.training.run.train import train


def quiet(_: str) -> None:
    """Do nothing."""


class Recorder(RunListener):
    """Keeps all that it is told."""

    def __init__(self):
        self.starts, self.steps, self.validations, self.messages, self.ends = [], [], [], [], []

    def on_start(self, start):
        self.starts.append(start)

    def on_step(self, report):
        self.steps.append(report)

    def on_validation(self, report):
        self.validations.append(report)

    def on_message(self, text):
        self.messages.append(text)

    def on_end(self, end):
        self.ends.append(end)


def test_a_listener_is_told_of_every_step_and_validation(
    tmp_path, small_corpus, small_recipe
) -> None:
    recorder, recipe = Recorder(), small_recipe()
    train(recipe, small_corpus, tmp_path / "a", log=quiet, listeners=[recorder])
    (start,), (end,) = recorder.starts, recorder.ends
    assert start.recipe == recipe
    assert start.step == 0
    assert [report.step for report in recorder.steps] == [*range(1, start.num_steps + 1)]
    assert len(recorder.validations) == 3
    assert all(report.sample for report in recorder.validations)
    assert recorder.validations[0].is_best
    assert (end.step, end.outcome) == (start.num_steps, "finished")
    logged = map(json.loads, (tmp_path / "a/run_log.jsonl").read_text().splitlines())
    losses = {event["step"]: event["loss"] for event in logged if event["event"] == "step"}
    assert losses == {
        report.step: round(report.loss, 5) for report in recorder.steps if report.is_logged
    }


def test_a_run_that_fails_tells_its_end_and_a_resumed_one_where_it_goes_on(
    tmp_path, killed_after, small_corpus, small_recipe
) -> None:
    first, second = Recorder(), Recorder()
    with killed_after(5) as killer:
        train(small_recipe(), small_corpus, tmp_path / "a", log=quiet, listeners=[first, killer])
    assert (first.ends[0].step, first.ends[0].outcome) == (6, "failed")
    train(small_recipe(), small_corpus, tmp_path / "a", resume=True, log=quiet, listeners=[second])
    assert second.starts[0].step == 4
    assert second.steps[0].step == 5
    assert second.steps[0].loss == first.steps[4].loss


def test_a_run_that_a_listener_stops_goes_on_from_that_step_and_all_are_told(
    tmp_path, small_corpus, small_recipe
) -> None:
    first, second, stop = Recorder(), Recorder(), StopAtStep(6)
    folder = tmp_path / "a"
    with pytest.raises(TrainingStoppedError, match=r"stopped at step 6 of .*--resume"):
        train(small_recipe(), small_corpus, folder, log=quiet, listeners=[stop, first])
    assert [report.step for report in first.steps] == [*range(1, 7)]
    assert (first.ends[0].step, first.ends[0].outcome) == (6, "stopped")
    train(small_recipe(), small_corpus, folder, resume=True, log=quiet, listeners=[stop, second])
    assert second.starts[0].step == 6
    assert second.ends[0].outcome == "finished"


def test_a_run_that_is_to_stop_at_its_last_step_finishes(
    tmp_path, small_corpus, small_recipe
) -> None:
    recorder, recipe = Recorder(), small_recipe("budget.epochs=1")
    train(recipe, small_corpus, tmp_path / "a", log=quiet, listeners=[recorder])
    stop, again = StopAtStep(recorder.ends[0].step), Recorder()
    train(recipe, small_corpus, tmp_path / "b", log=quiet, listeners=[stop, again])
    assert again.ends == recorder.ends
