"""Lines for a person to read."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str], None]
"""Reports a line of text."""


def print_at_once(text: str) -> None:
    """Print a line, to a log file too, without waiting for more of them."""
    print(text, flush=True)
