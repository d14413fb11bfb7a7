"""Which learning rate suits a recipe: a range test (Smith 2017, section 3.3), as Gugger (2018) runs it.

The learning rate rises exponentially, a step at a time, until the smoothed loss explodes. The rate of its steepest
descent, or a tenth of that of its minimum, is a good highest rate of a one-cycle schedule.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from refrain.training.data.corpus import LabelledCorpus, TextCorpus, require_content
from refrain.training.errors import DivergedError, RecipeError
from refrain.training.optimize.objectives.objective import Objective
from refrain.training.optimize.optimizer import make_optimizer, set_learning_rate, take_gradients
from refrain.training.optimize.precision import autocast, choose_device, choose_precision
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.listeners import RunEnd, RunListener, RunStart, StepReport
from refrain.training.setup.prepare import prepare

EXPLODED = 4.0
"""The test ends when the smoothed loss is so many times its minimum."""
MEMORY = 0.9
"""Weight of the past in the smoothed loss: of about ten steps, so that its minimum is not much too late."""


@dataclass(frozen=True)
class RangeTest:
    """Losses under a rising learning rate, one entry a step.

    Attributes
    ----------
    losses, smoothed
        In nats; smoothed by an exponential moving average without its bias to zero.
    exploded
        Whether the loss exploded before the highest rate was reached.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    exploded: bool

    @property
    def at_minimum(self) -> float:
        """The rate at which the smoothed loss was lowest."""
        return self.learning_rates[int(np.argmin(self.smoothed))]

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss fell fastest, per factor of the rate, on the way to its minimum."""
        end = int(np.argmin(self.smoothed)) + 1
        if end < 3:
            return self.learning_rates[0]
        slopes = np.gradient(self.smoothed[:end], np.log(self.learning_rates[:end]))
        return self.learning_rates[int(np.argmin(slopes))]

    @property
    def suggestion(self) -> float:
        """A tenth of the rate of the lowest loss."""
        return self.at_minimum / 10

    @property
    def drop(self) -> float:
        """Share of the first loss by which the smoothed loss fell."""
        return 1 - min(self.smoothed) / self.smoothed[0]


def find_learning_rate(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    *,
    num_steps: int = 200,
    lowest: float = 1e-6,
    highest: float = 1.0,
    device_name: str = "auto",
    listener: RunListener | None = None,
) -> RangeTest:
    """Run the range test of a recipe on its corpus; no model is written.

    Raises
    ------
    RecipeError
        If the recipe has no learning rate, or the range is empty.
    DivergedError
        If the first losses are not finite.
    """
    rates = _rates(recipe, lowest, highest, num_steps)
    require_content(corpus)
    torch.manual_seed(recipe.seed)
    device = choose_device(device_name)
    objective = prepare(recipe, corpus, device).objective
    listener = listener or RunListener()
    listener.on_start(RunStart(recipe, 0, num_steps))
    try:
        return _raise_rate(recipe, objective, device, rates, listener)
    finally:
        listener.on_end(RunEnd(num_steps, "finished"))


def _rates(recipe: TrainRecipe, lowest: float, highest: float, num_steps: int) -> list[float]:
    """Return the rate of each step, or refuse an empty range."""
    if recipe.task == "ngram":
        raise RecipeError("an n-gram model is counted, not trained: it has no learning rate")
    if not (0 < lowest < highest < math.inf and num_steps >= 10):
        raise RecipeError("the range must rise from a positive rate, in at least 10 steps")
    rates: list[float] = np.geomspace(lowest, highest, num_steps).tolist()
    return rates


def _raise_rate(
    recipe: TrainRecipe,
    objective: Objective,
    device: torch.device,
    rates: list[float],
    listener: RunListener,
) -> RangeTest:
    """Update once with each rate, until the loss explodes."""
    losses: list[float] = []
    smoothed: list[float] = []
    steps = _steps(recipe, objective, device, rates, listener)
    for loss in steps:
        if not math.isfinite(loss):
            break
        losses.append(loss)
        smoothed.append(_smooth(losses))
        if smoothed[-1] > EXPLODED * min(smoothed):
            break
    if len(losses) < 3:
        raise DivergedError(
            f"the loss exploded at once, at learning rate {rates[len(losses)]:.1e}: give a lower --lowest"
        )
    return RangeTest(
        learning_rates=tuple(rates[: len(losses)]),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        exploded=len(losses) < len(rates) or smoothed[-1] > EXPLODED * min(smoothed),
    )


def _steps(
    recipe: TrainRecipe,
    objective: Objective,
    device: torch.device,
    rates: list[float],
    listener: RunListener,
) -> Iterator[float]:
    """Update once with each rate; yield the loss before each update."""
    model = objective.model.train()
    parameters = list(model.parameters())
    optimizer = make_optimizer(model, recipe.optimizer)
    precision = choose_precision(device, recipe.budget.precision)
    started = time.monotonic()
    for step, (rate, batch) in enumerate(zip(rates, endless(objective), strict=False), start=1):
        begun = time.monotonic()
        with autocast(device, precision):
            loss = objective.loss(batch)
        if not math.isfinite(loss.mean):
            yield loss.mean
            return
        norm = take_gradients(loss.minimised, parameters, clip_norm=recipe.optimizer.clip_norm)
        set_learning_rate(optimizer, rate * loss.rate)
        optimizer.step()
        now = time.monotonic()
        speed = loss.num_tokens / (now - begun)
        listener.on_step(StepReport(step, 0, loss.mean, norm, rate, speed, now - started))
        yield loss.mean


def endless(objective: Objective) -> Iterator[Any]:
    """Yield the batches of epoch after epoch."""
    for number in itertools.count():
        yield from objective.epoch(number)


def _smooth(losses: list[float]) -> float:
    """Average the losses so far, each step back by `MEMORY` less."""
    weights = MEMORY ** np.arange(len(losses))[::-1]
    return float(np.average(losses, weights=weights))
