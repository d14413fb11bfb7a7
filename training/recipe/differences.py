"""In what two recipes differ that matters to what is learned."""

from __future__ import annotations

from refrain.training.recipe.train_recipe import (
    TrainRecipe,
)

WITHOUT_EFFECT = ("data.text", "distillation.teacher", "start_from", "budget.snapshot_every")
"""Keys that change no weight by themselves: what lies at a path may be the same elsewhere."""

SCHEDULE_KEYS = {
    "one_cycle": {"optimizer.warmup"},
    "decay": {"optimizer.decay", "optimizer.decay_after"},
    "on_plateau": {"optimizer.decay"},
}


def differences(before: TrainRecipe, now: TrainRecipe) -> list[str]:
    """Return the keys in which two recipes differ that matter to what is learned; paths and the card have none."""
    one, other = before.flattened(), now.flattened()
    unread = set[str]().union(*SCHEDULE_KEYS.values()) - SCHEDULE_KEYS[now.optimizer.schedule]
    return [
        f"{key} was {one.get(key)!r} and is {other.get(key)!r}"
        for key in sorted({*one, *other} - {*WITHOUT_EFFECT, *unread})
        if one.get(key) != other.get(key) and not key.startswith("card.")
    ]
