"""The end of a run whose loss, gradient or validation score is no longer finite."""

from __future__ import annotations

import math

from refrain.training.errors import DivergedError
from refrain.training.recipe.optimizer import OptimizerRecipe


def require_finite(
    name: str,
    value: float,
    step: int,
    learning_rate: float,
    recipe: OptimizerRecipe,
    snapshot_step: int,
) -> None:
    """Refuse NaN and infinity; the last snapshot, of `snapshot_step`, is left as it is.

    Raises
    ------
    DivergedError
        With the settings to lower.
    """
    if math.isfinite(value):
        return
    raise DivergedError(
        f"the {name} is {value} at step {step:,}, learning rate {learning_rate:.2g}: "
        f"start anew with --overwrite and a lower optimizer.learning_rate (it is "
        f"{recipe.learning_rate:g}; `refrain find-lr` suggests one) or optimizer.clip_norm "
        f"(it is {recipe.clip_norm:g}). "
        + (
            f"The last snapshot, of step {snapshot_step:,}, is kept."
            if snapshot_step
            else "No snapshot was due yet."
        )
    )
