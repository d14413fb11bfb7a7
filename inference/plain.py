"""Dataclasses that stand for objects of JSON, by the names of the HTTP contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, ClassVar


class Plain:
    """An answer, or what is asked: its fields are those of the JSON, where the ones that are as usual are left out.

    A field is as usual where it has its default; one without a default is always there.
    """

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no part of the JSON."""

    def as_json(self) -> dict[str, object]:
        """Return the object of JSON."""
        return {
            name: _value(value)
            for name, usual in _shown(type(self))  # type: ignore[arg-type]
            if (value := getattr(self, name)) != usual
        }


@cache
def _shown(kind: Any) -> list[tuple[str, object]]:
    """Return the fields that are shown, each with its default; with MISSING where it has none."""
    all_fields: tuple[Field[Any], ...] = fields(kind)
    return [(each.name, _default(each)) for each in all_fields if each.name not in kind.hidden]


def _default(each: Field[Any]) -> object:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _value(value: object) -> object:
    if isinstance(value, Plain):
        return value.as_json()
    if isinstance(value, (list, tuple)):
        return [_value(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
