"""A bar for work that is no run and takes a while: on a terminal at once, in a log file a line every half a minute."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0


def progress_bar(
    description: str = "",
    total: float | None = None,
    *,
    of: Iterable[Any] | None = None,
    unit: str = "it",
    unit_scale: bool = False,
    leave: bool = True,
    delay: float = 0.0,
) -> tqdm[Any]:
    """Make a bar, which gives the elements `of` something where that is given.

    Parameters
    ----------
    leave, delay
        Of a bar on a terminal: whether it stays when all is done, and the seconds before it is drawn.
    """
    drawn: dict[str, Any] = {"leave": leave, "delay": delay}
    if not sys.stderr.isatty():
        pause = SECONDS_BETWEEN_LINES
        drawn = {"file": _Lines(), "delay": pause, "mininterval": pause, "miniters": 1}
    return tqdm(of, description, total, unit=unit, unit_scale=unit_scale, **drawn)


class _Lines:
    """Standard error, with a line for each time that a bar is drawn."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(f"{text.strip()}\n")

    def flush(self) -> None:
        sys.stderr.flush()
