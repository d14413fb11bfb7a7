"""Learning rates and averages are what their definitions say."""

import pytest
import torch

from refrain.training.optimize.optimizer import WeightAverage, learning_rate, one_cycle
from refrain.training.recipe.optimizer import OptimizerRecipe


def rate(recipe, epoch=0, num_decays=0):
    return learning_rate(recipe, step=0, num_steps=10, epoch=epoch, num_decays=num_decays)


def test_decay_waits_and_then_falls_by_a_factor_an_epoch() -> None:
    recipe = OptimizerRecipe(
        kind="sgd", schedule="decay", learning_rate=1.0, decay=0.5, decay_after=4
    )
    assert [rate(recipe, epoch) for epoch in range(6)] == [1, 1, 1, 1, 0.5, 0.25]


def test_the_first_epoch_has_the_learning_rate_as_it_is_set() -> None:
    recipe = OptimizerRecipe(schedule="decay", learning_rate=0.8, decay=0.5)
    assert [rate(recipe, epoch) for epoch in range(3)] == [0.8, 0.4, 0.2]


def test_a_plateau_falls_by_a_factor_for_each_answer() -> None:
    recipe = OptimizerRecipe(schedule="on_plateau", learning_rate=0.8, decay=0.5)
    assert [rate(recipe, 9, number) for number in range(3)] == [0.8, 0.4, 0.2]


def test_the_average_is_the_weighted_mean_of_all_weights_so_far() -> None:
    weight = torch.zeros(2, requires_grad=True)
    average = WeightAverage([weight], decay=0.9)
    expected = torch.zeros(2)
    for step in range(1, 200):
        with torch.no_grad():
            weight += 1
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    torch.testing.assert_close(average.weights[0], expected)
    with average.in_place():
        torch.testing.assert_close(weight.detach(), expected)
    assert weight.tolist() == [199, 199]


def test_an_average_that_forgets_at_once_is_the_weights() -> None:
    weight = torch.randn(3)
    average = WeightAverage([weight], decay=0.0)
    weight.add_(1)
    average.update(1)
    assert torch.equal(average.weights[0], weight)


def test_one_cycle_rises_to_its_peak_and_falls_to_zero() -> None:
    recipe = OptimizerRecipe(learning_rate=1.0, warmup=0.1)
    rates = [one_cycle(step, 100, recipe) for step in range(100)]
    assert rates.index(max(rates)) in (9, 10)
    assert max(rates) == 1.0
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.001
    assert all(a <= b for a, b in zip(rates[:9], rates[1:10], strict=True))
    assert all(a >= b for a, b in zip(rates[10:99], rates[11:], strict=True))
