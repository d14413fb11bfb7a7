"""A run that no longer gets better stops, keeps its best weights, and says which."""

import pytest
import torch

from refrain.models.checkpoint import load_checkpoint
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.reporting.listeners import RunListener
from refrain.training.run.train import train

LOSSES = [2.0, 1.0, 1.5, 1.2, 0.5, 0.6, 0.7, 0.8, 0.9, 0.4]
"""Validation losses: with a patience of three the run stops at the eighth, and keeps the fifth's weights."""


@pytest.fixture
def scripted(monkeypatch):
    """Validation figures by the number of epochs done, so that a resumed run has the same."""

    def validate(self):
        loss = LOSSES[self.epochs_done - 1]
        return {"perplexity": loss * 10, "loss": loss, "score": loss}

    def epoch(self, number, read=LanguageModelObjective.epoch):
        self.epochs_done = number + 1
        return read(self, number)

    monkeypatch.setattr(LanguageModelObjective, "validate", validate)
    monkeypatch.setattr(LanguageModelObjective, "epoch", epoch)


def test_a_run_stops_when_its_patience_ends_and_keeps_the_best(
    tmp_path, scripted, small_corpus, small_recipe
) -> None:
    said: list[str] = []
    recipe = small_recipe("budget.epochs=10", "budget.patience=3")
    facts = load_checkpoint(
        train(recipe, small_corpus, tmp_path / "a", log=said.append)
    ).card.training
    steps_an_epoch = facts["steps"] // 8
    assert facts["epochs"] == 8
    assert facts["kept_step"] == 5 * steps_an_epoch
    line = next(line for line in said if "kept step" in line)
    assert line.startswith("stopped early, after 3 validations that were no better; ")
    assert f"kept step {5 * steps_an_epoch}" in line
    assert line.endswith("validation perplexity 5.0000")


def test_without_patience_a_run_goes_to_its_end_and_says_what_it_kept(
    tmp_path, scripted, small_corpus, small_recipe
) -> None:
    said: list[str] = []
    train(small_recipe("budget.epochs=9"), small_corpus, tmp_path / "a", log=said.append)
    (line,) = [line for line in said if "kept step" in line]
    assert line.startswith("kept step")
    assert line.endswith("validation perplexity 5.0000")


@pytest.mark.parametrize("stop_in_epoch", [6.5, 7.5])
def test_patience_is_counted_on_over_a_resume(
    tmp_path, killed_after, scripted, small_corpus, small_recipe, stop_in_epoch
) -> None:
    recipe = small_recipe("budget.epochs=10", "budget.patience=3", "budget.snapshot_every=1")
    whole = load_checkpoint(train(recipe, small_corpus, tmp_path / "whole", log=lambda _: None))
    stop_at = int(whole.card.training["steps"] / 8 * stop_in_epoch)
    with killed_after(stop_at) as killer:
        train(recipe, small_corpus, tmp_path / "cut", log=lambda _: None, listeners=[killer])
    cut = load_checkpoint(
        train(recipe, small_corpus, tmp_path / "cut", resume=True, log=lambda _: None)
    )
    assert cut.card.training["kept_step"] == whole.card.training["kept_step"]
    assert cut.card.training["steps"] == whole.card.training["steps"]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name


class NoStep(RunListener):
    """Takes no step for an answer."""

    def on_step(self, report):
        pytest.fail(f"step {report.step} was taken")


def test_a_run_killed_after_it_stopped_early_trains_no_further(
    tmp_path, monkeypatch, scripted, small_corpus, small_recipe
) -> None:
    recipe = small_recipe("budget.epochs=10", "budget.patience=3")

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("refrain.training.run.finish.evaluate_checkpoint", kill)
        train(recipe, small_corpus, tmp_path / "a", log=lambda _: None)
    settings = {"resume": True, "log": lambda _: None, "listeners": [NoStep()]}
    checkpoint = load_checkpoint(train(recipe, small_corpus, tmp_path / "a", **settings))
    assert checkpoint.card.training["epochs"] == 8
