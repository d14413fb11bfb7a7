"""What every part of a recipe is checked by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refrain.training.errors import RecipeError


def require(holds: bool, message: str) -> None:
    """Raise a `RecipeError` unless a condition holds."""
    """Raise a  with a message unless a condition holds."""
    if not holds:
        raise RecipeError(message)


def require_known(values: dict[str, Any], known: Sequence[str], subject: str) -> None:
    """Refuse keys that a table of a recipe does not have."""
    """Refuse keys that a table of a recipe does not have."""
    unknown = sorted(set(values) - set(known))
    require(
        not unknown, f"{subject}has no key {', '.join(unknown)}; it may have {', '.join(known)}"
    )
