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
        Of a bar on a terminal: whether it stays when all is done, and the seconds before and between drawings.
    """
    if not sys.stderr.isatty():
        leave, delay = True, SECONDS_BETWEEN_LINES
    return tqdm(
        of,
        description,
        total,
        leave,
        unit=unit,
        unit_scale=unit_scale,
        delay=delay,
        mininterval=delay or 0.1,
    )
