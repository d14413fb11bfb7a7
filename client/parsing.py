"""JSON to dataclasses: fields that a newer server adds are passed over, missing ones are an error."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from refrain.client.errors import UnexpectedAnswerError

Kind = TypeVar("Kind")


def read(kind: type[Kind], values: object) -> Kind:
    """Make a dataclass of a JSON object.

    Raises
    ------
    UnexpectedAnswerError
        If the values are not a JSON object, or naming the field that is missing or of another type.
    """
    if kind is not types.NoneType and not isinstance(values, dict):
        raise UnexpectedAnswerError("the server's answer is not a JSON object")
    found = _convert(kind, values, kind.__name__)
    assert isinstance(found, kind)
    return found


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """List name, type and whether it must be there."""
    hints = get_type_hints(kind)
    return tuple((each.name, hints[each.name], each.default is MISSING) for each in fields(kind))


def _convert(kind: Any, value: object, path: str) -> object:
    """Make a value of a type; `path` names it in errors."""
    if is_dataclass(kind) and isinstance(value, Mapping):
        return _object(kind, value, path)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = [each for each in get_args(kind) if each is not types.NoneType]
        return None if value is None else _convert(inner, value, path)
    if origin is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(_convert(inner, each, f"{path}[{i}]") for i, each in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, origin or kind):
        return value
    raise UnexpectedAnswerError(f"{path} in the server's answer is not of type {kind}")


def _object(kind: Any, values: Mapping[str, object], path: str) -> object:
    arguments = {}
    for name, inner, must_be_there in _fields(kind):
        if name in values:
            arguments[name] = _convert(inner, values[name], f"{path}.{name}")
        elif must_be_there:
            raise UnexpectedAnswerError(f"the server's answer lacks {path}.{name}")
    return kind(**arguments)
