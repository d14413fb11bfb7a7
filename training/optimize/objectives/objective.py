"""What a run minimises and how it is validated: one class a task, the same protocol for the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from refrain.models.state import RecurrentState


@dataclass(frozen=True)
class BatchLoss:
    """What a batch costs.

    Attributes
    ----------
    minimised
        What gradients are taken of.
    mean
        The mean cross-entropy in nats, to be shown (an estimate where the vocabulary was sampled).
        Where several processes share a window, this and what is minimised are parts, whose sum is that of the window.
    num_tokens
        Tokens read.
    rate
        What to multiply the learning rate with.
    """

    minimised: Tensor
    mean: float
    num_tokens: int
    rate: float = 1.0


class Objective(Protocol):
    """A model, its batches, its loss, and its validation metrics."""

    state: RecurrentState | None
    num_windows: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def epoch(self, number: int) -> Iterator[Any]:
        """Yield the batches of an epoch."""
        ...

    def loss(self, batch: Any) -> BatchLoss:
        """Return the loss of a batch."""
        ...

    def validate(self) -> dict[str, float]:
        """Measure on the validation split; "score" is what to keep the best of (lower is better)."""
        ...
