"""What commands write to standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TEXT_WIDTH = 60
"""Characters of a text that a table shows."""


def write_json(values: Mapping[str, Any]) -> None:
    """Write a line of JSON, at once."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False), flush=True)


def shortened(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = text.replace("\n", "⏎")
    return line if len(line) <= TEXT_WIDTH else line[: TEXT_WIDTH - 1] + "…"


def formatted(value: float | None) -> str:
    """Return a number with four significant digits or more; "-" for none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
