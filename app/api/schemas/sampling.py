"""The fields of a body that set how tokens are sampled, made from the one table of parameters."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from refrain.models.native.step.sampling import PARAMETERS


def sampling_fields(*, is_nullable: bool) -> dict[str, Any]:
    """Return pydantic's definitions of the fields; where null stands for the default, they go without a description."""
    fields: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        description = None if is_nullable else parameter.description
        kind = parameter.kind | None if is_nullable else parameter.kind
        field = Field(parameter.default, description=description, **parameter.bounds)
        fields[name] = (kind, field)
    return fields
