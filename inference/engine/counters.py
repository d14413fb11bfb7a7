"""What metrics are made of: counted by one thread, read by any."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (
    *(1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Of whole requests and of waiting: from a tenth of a millisecond to a minute."""
SHORT_SECONDS = (
    *(2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3, 6.4e-3, 0.0128, 0.0256),
    *(0.05, 0.1, 0.2, 0.4, 1.0, 2.0),
)
"""Of steps and of tokens: a step takes a fraction of a millisecond."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Of batches."""
WINDOW = 5
"""Whole seconds that are looked back upon, and the one under way."""


class Histogram:
    """How many values are at most as large as each bound, and the sum of all.

    Parameters
    ----------
    bounds
        Upper ends of the buckets, rising; one more bucket holds what is larger than the last.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def count(self, value: float, times: int = 1) -> None:
        """Count a value, as often as it occurred."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def read(self) -> tuple[list[int], float]:
        """Return counts and sum, one right after the other: what is counted between the two is in the sum alone."""
        return self.counts.copy(), self.sum


class TokenRate:
    """Counts tokens by the second; what is older than the window is written over."""

    def __init__(self) -> None:
        self._seconds = [-1] * (WINDOW + 1)
        self._counts = [0] * (WINDOW + 1)

    def count(self, num_tokens: int, now: float) -> None:
        """Count tokens at a time."""
        second = int(now)
        index = second % (WINDOW + 1)
        if self._seconds[index] != second:
            self._counts[index] = 0
            self._seconds[index] = second
        self._counts[index] += num_tokens

    def read(self, now: float) -> float:
        """Return the tokens a second over the window that ends now."""
        first = int(now) - WINDOW
        pairs = zip(self._seconds, self._counts, strict=True)
        num_tokens = sum(count for second, count in pairs if first <= second <= now)
        return num_tokens / (now - first)
