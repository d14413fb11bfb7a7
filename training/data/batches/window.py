"""A window: a rectangle of inputs and targets.

Shapes: B rows, T times (at most the recipe's window).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

TokenStream = NDArray[np.integer]
"""Token ids with a boundary at both ends and between documents, perhaps mapped from a file."""
IGNORED = -100
"""Target of a padded position: `torch.nn.functional.cross_entropy` leaves it out."""


@dataclass(frozen=True)
class Window:
    """One update's worth of a language model's text.

    Attributes
    ----------
    inputs_BT, targets_BT
        Token ids; a target is the token after its input, or `IGNORED`.
    starts_B
        Which rows begin here, from a zero state; the others go on from the window before.
    rate
        What to multiply the learning rate with: this window's length against the usual one.
    target_share, row_share
        How much of the targets, and of the rows, of a window these are, where several processes share it.
    """

    inputs_BT: Tensor
    targets_BT: Tensor
    starts_B: Tensor
    rate: float = 1.0
    target_share: float = 1.0
    row_share: float = 1.0

    @property
    def num_tokens(self) -> int:
        """Predictions in it."""
        return int((self.targets_BT != IGNORED).sum())


class WindowSource(Protocol):
    """Anything that cuts a corpus to windows, the same ones for the same epoch number."""

    num_windows: int

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch."""
        ...


def stream_of(documents: Iterable[Sequence[int]], eos_id: int) -> TokenStream:
    """Join documents to one stream."""
    boundary = np.array([eos_id])
    pieces = (np.concatenate((np.asarray(ids, np.int64), boundary)) for ids in documents)
    return np.concatenate((boundary, *pieces))
