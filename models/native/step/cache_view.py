"""A neural cache as native code reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_ENTRIES = 16_384
"""Most entries of a neural cache."""


@dataclass(frozen=True)
class CacheView:
    """Entries of a neural cache as they are now, which only the integer form of a model can read.

    Attributes
    ----------
    keys, values
        A ring of hidden states, uint8 [window, size] with zero point 128, and of the token that followed each, int32.
    first, num_entries
        Index of the oldest entry, and how many there are.
    inverse_temperature, weight
        See `NeuralCacheConfig`.
    """

    keys: NDArray[np.uint8]
    values: NDArray[np.int32]
    first: int
    num_entries: int
    inverse_temperature: float
    weight: float
