"""Checks of single settings, each with an error that names the setting."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from refrain.models.errors import ConfigError

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a string"),
    "dict[str, Any]": ((dict,), "a table"),
}
"""What may stand where a field is annotated so, and how a person would say that."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError unless a condition holds."""
    if not condition:
        raise ConfigError(message)


def require_positive(**sizes: int) -> None:
    """Check that sizes are whole numbers above 0."""
    for name, size in sizes.items():
        require(
            isinstance(size, int) and not isinstance(size, bool) and size > 0,
            f"{name} must be a whole number above 0, not {size!r}",
        )


def require_fractions(**rates: float) -> None:
    """Check that rates lie in [0, 1)."""
    for name, rate in rates.items():
        require(
            isinstance(rate, (int, float)) and 0 <= rate < 1,
            f"{name} must lie in [0, 1), not {rate!r}",
        )


def require_types(config: Any) -> None:
    """Check plain values against their annotations: a file may hold anything."""
    for each in fields(config):
        wanted = wanted_instead(str(each.type), getattr(config, each.name))
        require(not wanted, f"{each.name} must be {wanted}, not {getattr(config, each.name)!r}")


def wanted_instead(annotation: str, value: Any) -> str:
    """Describe what a field should hold in place of a value; "" where that will do, or any value will."""
    if annotation not in KINDS:
        return ""
    kinds, name = KINDS[annotation]
    is_right = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    return "" if is_right else name


def require_one_of(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Check that a setting is one of its choices."""
    require(
        isinstance(value, str) and value in choices,
        f"{name} must be one of {', '.join(choices)}, not {value!r}",
    )
