"""Optimisers and their learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.recipe.optimizer import OptimizerRecipe


def make_optimizer(model: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """Make the recipe's optimiser; weight matrices decay, vectors (biases) do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.kind == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, fused=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99), fused=True)


def learning_rate(
    recipe: OptimizerRecipe, *, step: int, num_steps: int, epoch: int, num_decays: int
) -> float:
    """Return the learning rate of a step, counted from 0, of an epoch, counted from 0.

    Parameters
    ----------
    num_decays
        How often a plateau of the validation score has lowered the rate.
    """
    match recipe.schedule:
        case "one_cycle":
            return one_cycle(step, num_steps, recipe)
        case "decay":
            return recipe.learning_rate * recipe.decay ** max(0, epoch + 1 - recipe.decay_after)
        case _:
            return recipe.learning_rate * recipe.decay**num_decays


def one_cycle(step: int, num_steps: int, recipe: OptimizerRecipe) -> float:
    """Rise to the peak in the first `warmup` of all steps, then fall by a cosine to zero."""
    rise = max(1, round(recipe.warmup * num_steps))
    if step < rise:
        return recipe.learning_rate * (step + 1) / rise
    progress = (step - rise) / max(1, num_steps - rise)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def take_gradients(
    loss: Tensor,
    parameters: Sequence[Tensor],
    world: World = SINGLE_PROCESS,
    *,
    clip_norm: float,
) -> float:
    """Leave the clipped gradients of a loss, summed over processes, in the parameters; return their norm before."""
    for parameter in parameters:
        parameter.grad = None
    torch.autograd.backward(loss)
    world.sum_gradients(parameters)
    return torch.nn.utils.clip_grad_norm_(parameters, clip_norm).item()


class WeightAverage:
    """An exponential moving average of a model's weights; a short run's first steps are soon forgotten.

    Attributes
    ----------
    weights
        One tensor a parameter, float32.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = [parameter.detach() for parameter in parameters]
        self._decay = decay
        self.weights = [parameter.clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Take the weights after a step, counted from 1, into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, self._parameters, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swap the averages in for the model's weights, for a while."""
        kept = [parameter.clone() for parameter in self._parameters]
        torch._foreach_copy_(self._parameters, self.weights)
        try:
            yield
        finally:
            torch._foreach_copy_(self._parameters, kept)
