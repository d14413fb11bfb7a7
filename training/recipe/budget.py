"""The part of a recipe about its length: epochs, windows, snapshots."""

from __future__ import annotations

from dataclasses import dataclass

from refrain.training.recipe.checks import require


@dataclass(frozen=True, kw_only=True)
class BudgetRecipe:
    """How long to train, on pieces of which size.

    Attributes
    ----------
    epochs
        Times that the corpus is read.
    batch_size
        Rows (lanes of text, or documents) read at once.
    window
        Tokens between two updates: how far truncated backpropagation through time reaches at most. Of a classifier, the
        tokens of a text that are read in training and validation: the first so many.
    window_jitter
        Standard deviation of the window's length, in tokens, drawn anew for each window; one in twenty is half as
        long. A window's update is scaled by its length (Merity et al. 2018).
    restart_rate
        Share of the rows of each window that start anew from the boundary, so that a long text has beginnings to learn
        from.
    max_windows
        Windows of an epoch at most, 0 for the whole corpus: each epoch of a stream then reads another part of it.
    snapshot_every, validate_every
        Steps; 0 for every two minutes, and for once an epoch.
    patience
        Validations in a row without a better score after which a run stops early; 0 for never.
    precision
        "bfloat16", "float32", or "auto" for bfloat16 where the processor or GPU has instructions for it.
    """

    epochs: int = 5
    batch_size: int = 64
    window: int = 64
    window_jitter: float = 0.0
    restart_rate: float = 0.05
    max_windows: int = 0
    snapshot_every: int = 0
    validate_every: int = 0
    patience: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "window"):
            require(getattr(self, name) > 0, f"budget.{name} must be positive")
        for name in (
            "max_windows",
            "snapshot_every",
            "validate_every",
            "patience",
            "window_jitter",
        ):
            require(getattr(self, name) >= 0, f"budget.{name} must not be negative")
        require(0 <= self.restart_rate < 1, "budget.restart_rate must lie in [0, 1)")
        choices = ("auto", "bfloat16", "float32")
        require(self.precision in choices, f"budget.precision must be one of {', '.join(choices)}")
