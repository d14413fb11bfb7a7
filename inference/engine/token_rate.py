"""Tokens a second, of late."""

from __future__ import annotations

WINDOW = 5
"""Whole seconds that are looked back upon, and the one under way."""


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
