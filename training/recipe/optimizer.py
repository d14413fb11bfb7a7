"""The part of a recipe about the optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refrain.training.recipe.checks import require


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """How weights are updated.

    Attributes
    ----------
    kind
        "adamw" (Loshchilov & Hutter 2019), or "sgd", whose gradient is summed over the times of a window and averaged
        over its rows, as in the papers of its time.
    schedule
        "one_cycle" (Smith & Topin 2018): a linear rise in the first `warmup` of all steps, then a cosine to zero.
        "decay": constant for `decay_after` epochs, then multiplied by `decay` with each epoch.
        "on_plateau": multiplied by `decay` with each epoch, once an epoch has made validation less than 0.3 %
        better (Mikolov et al. 2010).
    learning_rate
        The highest.
    weight_decay
        Decoupled: times the learning rate, taken off each weight matrix with every update.
    clip_norm
        Longest gradient, as the norm over all parameters.
    warmup
        Share of the steps in which the learning rate of "one_cycle" rises.
    averaging
        Weight of the past in an exponential moving average of the weights, which is what is validated and kept;
        0 for none.
    activation_penalty, change_penalty
        AR and TAR of Merity et al. (2017): the mean square of the last layer's output, and of its change from time to
        time, times this, are added to the loss.
    num_sampled
        Words whose logits normalise a prediction while training: a quarter of them drawn anew from the rarer words for
        each window, three quarters the most frequent; 0 for the whole vocabulary.
    """

    kind: str = "adamw"
    schedule: str = "one_cycle"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    warmup: float = 0.1
    decay: float = 0.5
    decay_after: int = 1
    averaging: float = 0.0
    activation_penalty: float = 0.0
    change_penalty: float = 0.0
    num_sampled: int = 0

    def __post_init__(self) -> None:
        kinds, schedules = ("adamw", "sgd"), ("one_cycle", "decay", "on_plateau")
        require(self.kind in kinds, f"optimizer.kind must be one of {', '.join(kinds)}")
        require(
            self.schedule in schedules, f"optimizer.schedule must be one of {', '.join(schedules)}"
        )
        for name in ("activation_penalty", "change_penalty", "decay_after", "num_sampled"):
            require(getattr(self, name) >= 0, f"optimizer.{name} must not be negative")
        require(
            self.schedule != "decay" or self.decay_after > 0,
            "optimizer.decay_after must be 1 epoch or more: the first one has the learning rate as it is set",
        )
        require(0 <= self.averaging < 1, "optimizer.averaging must lie in [0, 1)")
        require(0 < self.decay <= 1, "optimizer.decay must lie in (0, 1]")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            require(
                0 < value < math.inf, f"optimizer.{name} must be a positive number, not {value}"
            )
        require(0 <= self.weight_decay < math.inf, "optimizer.weight_decay must not be negative")
        require(0 < self.warmup < 1, "optimizer.warmup is a share of the steps, between 0 and 1")
