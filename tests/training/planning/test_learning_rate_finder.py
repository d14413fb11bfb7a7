"""The learning-rate range test: where it looks, what it suggests, what it refuses."""

import json
import sys
from xml.etree import ElementTree as ET

import pytest

from refrain.cli.commands.find_lr import save, table, verdict
from refrain.training.errors import DivergedError, MissingPackageError, RecipeError
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.planning.learning_rate_finder import RangeTest, find_learning_rate
from refrain.training.recipe.parsing import make_recipe
from refrain.training.reporting.optional_package import require

RATES = tuple(10.0**exponent for exponent in range(-6, 1))


def measured(*smoothed: float) -> RangeTest:
    return RangeTest(RATES[: len(smoothed)], smoothed, smoothed, exploded=True)


def test_the_suggestions_are_a_tenth_of_the_minimum_and_the_steepest_descent() -> None:
    test = measured(5.0, 4.9, 4.0, 2.0, 1.5, 1.4, 9.0)
    assert test.at_minimum == RATES[5]
    assert test.suggestion == pytest.approx(1e-2)
    assert test.steepest == RATES[2]
    assert test.drop == pytest.approx(0.72)


def test_a_loss_that_never_fell_still_gives_an_answer() -> None:
    test = measured(5.0, 6.0, 7.0)
    assert test.steepest == test.at_minimum == RATES[0]


def test_the_rate_rises_exponentially_and_the_same_seed_gives_the_same_losses(
    small_corpus, small_recipe
) -> None:
    first, second = (find_learning_rate(small_recipe(), small_corpus) for _ in range(2))
    assert first == second
    rates = first.learning_rates
    assert rates[0] == pytest.approx(1e-6)
    ratios = [after / before for before, after in zip(rates[:-1], rates[1:], strict=True)]
    assert ratios == pytest.approx([1e6 ** (1 / 199)] * len(ratios))
    assert 1e-4 < first.suggestion < 1
    assert first.drop > 0.1


def test_the_test_ends_when_the_loss_explodes(monkeypatch, small_corpus, small_recipe) -> None:
    steps: list[int] = []

    def explode(self, batch, loss=LanguageModelObjective.loss):
        steps.append(1)
        result = loss(self, batch)
        scale = 1e9 if len(steps) == 30 else 1.0
        return type(result)(result.minimised, result.mean * scale, result.num_tokens)

    monkeypatch.setattr(LanguageModelObjective, "loss", explode)
    test = find_learning_rate(small_recipe(), small_corpus)
    assert test.exploded
    assert len(steps) == len(test.losses) == 30


def test_what_cannot_be_tested_is_refused(small_corpus, small_recipe) -> None:
    ngram = make_recipe({"name": "counts", "task": "ngram"})
    with pytest.raises(RecipeError, match="counted, not trained"):
        find_learning_rate(ngram, small_corpus)
    with pytest.raises(RecipeError, match="must rise"):
        find_learning_rate(small_recipe(), small_corpus, lowest=1.0, highest=0.1)
    with pytest.raises(DivergedError, match="--lowest"):
        find_learning_rate(small_recipe(), small_corpus, lowest=1e35, highest=1e38)


def test_plot_and_figures_are_written_the_same_each_time(tmp_path, small_recipe) -> None:
    test = measured(5.0, 4.9, 4.0, 2.0, 1.5, 1.4, 9.0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(test, small_recipe(), tmp_path / name)
    svg = (tmp_path / "a/find_lr.svg").read_bytes()
    assert svg == (tmp_path / "b/find_lr.svg").read_bytes()
    assert ET.fromstring(svg).tag.endswith("svg")
    values = json.loads((tmp_path / "a/find_lr.json").read_text())
    assert values["suggestion"] == pytest.approx(1e-2)
    assert values["points"][3] == {"learning_rate": 1e-3, "loss": 2.0, "smoothed": 2.0}


def test_table_and_verdict_say_it_plainly(small_recipe) -> None:
    test = measured(5.0, 4.9, 4.0, 2.0, 1.5, 1.4, 9.0)
    assert len(table(test)) == 8
    text = "\n".join(verdict(test, small_recipe()))
    assert "7 steps, until the loss exploded" in text
    assert "steepest descent at 1.0e-04" in text
    assert "--set optimizer.learning_rate=1.0e-02" in text


def test_where_the_loss_did_not_fall_no_rate_is_suggested(small_recipe) -> None:
    rates, losses = (1e-6, 2e-6, 4e-6, 8e-6), (5.8, 5.5, 5.9, 8.0)
    scattered = RangeTest(rates, losses, losses, exploded=False)
    for test in (measured(5.0, 5.0, 4.99), scattered):
        text = "\n".join(verdict(test, small_recipe()))
        assert "hardly fell" in text
        assert "to try" not in text


def test_where_the_loss_falls_to_the_end_a_higher_end_is_suggested(small_recipe) -> None:
    text = "\n".join(verdict(measured(5.0, 4.5, 4.0, 3.0, 2.0), small_recipe()))
    assert "higher --highest" in text


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"\.\[studies\]"):
        require("matplotlib", "studies")
