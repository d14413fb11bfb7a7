"""How a token is chosen from the distribution: one table of parameters that every face of them is made from.

The native step reads them by name (`SequenceStruct`); the HTTP bodies and the flags of the command line take names,
defaults, bounds and descriptions from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import InvalidParameterError


class Bounds(TypedDict, total=False):
    """What a number must be: at least, above, at most."""

    ge: float
    gt: float
    le: float


def _parameter(default: float, description: str, **bounds: float) -> Any:
    return field(default=default, metadata={"description": description, "bounds": bounds})


@dataclass(frozen=True)
class SamplingParams:
    """How to choose tokens.

    Attributes
    ----------
    seed
        Key of the uniform numbers: one a token, drawn by seed and position.
    logit_bias
        Added to the logits of tokens; -inf bans one.
    allowed
        One bit a token, uint64 [V / 64 + 1]: the tokens that may be written; None allows all.

    The others say themselves what they do; see `PARAMETERS`.

    Raises
    ------
    InvalidParameterError
        Naming the parameter, for a value out of bounds.
    """

    max_tokens: int = _parameter(64, "Most tokens to write; a poem's character is one.", ge=0)
    temperature: float = _parameter(1.0, "0 takes the likeliest token.", ge=0, le=100)
    top_k: int = _parameter(0, "Keep the k likeliest tokens; 0 keeps all.", ge=0, le=1_000_000)
    top_p: float = _parameter(1.0, "Keep the likeliest with this much probability.", gt=0, le=1)
    min_p: float = _parameter(
        0.0, "Keep tokens with this share of the likeliest's probability.", ge=0, le=1
    )
    typical_p: float = _parameter(
        1.0,
        "Keep the tokens whose surprise is nearest to the expected one, with this much probability (locally typical "
        "sampling); 1 keeps all.",
        gt=0,
        le=1,
    )
    repetition_penalty: float = _parameter(
        1.0,
        "Above 1 makes tokens that the text has already less likely; of a text that goes on from a state the tokens "
        "since then.",
        ge=0.01,
        le=100,
    )
    frequency_penalty: float = _parameter(
        0.0, "Taken off a token's logit for each time it was written.", ge=-100, le=100
    )
    presence_penalty: float = _parameter(
        0.0, "Taken off a token's logit once it was written.", ge=-100, le=100
    )
    ignore_eos: bool = _parameter(default=False, description="Never end before max_tokens.")
    seed: int = 0
    logit_bias: tuple[tuple[int, float], ...] = ()
    allowed: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        check_bounds(self, _BOUNDS)


@dataclass(frozen=True)
class Parameter:
    """One of the numbers and switches by which tokens are chosen.

    Attributes
    ----------
    kind
        int, float or bool.
    """

    name: str
    kind: type
    default: float
    description: str
    bounds: Bounds


def check_bounds(params: object, bounds: Mapping[str, Bounds]) -> None:
    """Refuse parameters of which a field is out of its bounds, unless it has its default; NaN is out of every bound.

    Raises
    ------
    InvalidParameterError
        Naming the parameter.
    """
    kind = type(params)
    for name, each in bounds.items():
        if (value := getattr(params, name)) != getattr(kind, name):
            check_number(name, value, each)


def check_number(name: str, value: float, bounds: Bounds) -> None:
    """Refuse a number out of bounds; see `check_bounds`."""
    is_low = not (value >= bounds.get("ge", -math.inf) and value > bounds.get("gt", -math.inf))
    if is_low or not value <= bounds.get("le", math.inf):
        words = {"ge": "at least", "gt": "above", "le": "at most"}
        said = " and ".join(f"{words[kind]} {bound:,}" for kind, bound in bounds.items())
        raise InvalidParameterError(f"{name} must be {said}", name)


_KINDS = {"int": int, "float": float, "bool": bool}
PARAMETERS = {
    each.name: Parameter(
        each.name,
        _KINDS[str(each.type)],
        getattr(SamplingParams, each.name),
        each.metadata["description"],
        each.metadata["bounds"],
    )
    for each in fields(SamplingParams)
    if each.metadata
}
"""Those that a caller sets by a number or a switch, by name, in the order in which they are described."""
_BOUNDS = {name: each.bounds for name, each in PARAMETERS.items()}
GREEDY = SamplingParams(temperature=0.0)
