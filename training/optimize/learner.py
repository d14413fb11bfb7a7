"""A model and what updates its weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from refrain.training.optimize.optimizer import WeightAverage, make_optimizer, set_learning_rate
from refrain.training.recipe.optimizer import OptimizerRecipe


class Learner:
    """A model, its optimiser, and the moving average of its weights if the recipe asks for one.

    Attributes
    ----------
    parameters
        The model's, in the order in which the optimiser numbers them.
    average
        None where weights are not averaged.
    """

    def __init__(self, model: nn.Module, recipe: OptimizerRecipe) -> None:
        self.model = model
        self.optimizer = make_optimizer(model, recipe)
        self.parameters: list[Tensor] = list(model.parameters())
        self.average = (
            WeightAverage(self.parameters, recipe.averaging) if recipe.averaging else None
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.parameters[0].device

    def update(self, learning_rate: float, step: int) -> None:
        """Update the weights by the gradients that they have; `step` is counted from 1."""
        set_learning_rate(self.optimizer, learning_rate)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(step)

    def averaged(self) -> AbstractContextManager[None]:
        """Swap the averaged weights in for a while, if there are any."""
        return self.average.in_place() if self.average else nullcontext()
