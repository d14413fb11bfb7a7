"""What every body has in common: strict types, no unknown field, one text or several."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return value
    raise PydanticCustomError("texts", "give a string, or a list of at least one string")


Texts = Annotated[Sequence[str], PlainValidator(_texts, json_schema_input_type=str | list[str])]
"""One text, or a list of at least one; a list in either case."""

ModelName = Annotated[
    str | None,
    Field(
        description="Name of a loaded model; without one, the first that suits the text's language."
    ),
]


State = Annotated[
    str | None,
    Field(
        max_length=1_000_000,
        description="A state from an earlier answer: the text goes on from there, exactly, without being read again.",
    ),
]
ReturnState = Annotated[
    bool, Field(description="Answer with a state to go on from, here or on any replica.")
]


TEXT_FIELDS = ("prompt", "prefix", "text", "input")
"""What the one text of a body is called on one route or another."""
LIKE_ENOUGH = 0.75
"""How much alike two names must be for one to be taken for the other, mistyped."""


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    @classmethod
    def _distance(cls, name: str) -> int:
        """Return how many bodies above this one a field is inherited from: its own fields are named first."""
        kinds = [kind for kind in cls.__mro__ if issubclass(kind, Body)]
        return next(i for i, kind in enumerate(kinds) if name in kind.__annotations__)

    @model_validator(mode="before")
    @classmethod
    def _know_every_field(cls, values: Any) -> Any:
        """Refuse an unknown field with a word on those that there are."""
        fields = cls.model_fields
        for name in values if isinstance(values, dict) else ():
            if name not in fields:
                near = get_close_matches(name[:50], fields, 1, LIKE_ENOUGH) or [
                    other for other in TEXT_FIELDS if name in TEXT_FIELDS and other in fields
                ]
                known = sorted(fields, key=cls._distance)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                context = {"name": name, "hint": hint}
                raise PydanticCustomError("unknown_field", "unknown field {name}; {hint}", context)
        return values

    def taken(self, kind: type[DataclassInstance]) -> dict[str, Any]:
        """Return the values of the fields that a dataclass has too."""
        values = vars(self)
        return {name: values[name] for name in kind.__dataclass_fields__ if name in values}


class TimedBody(Body):
    """A request body that says how long its caller waits."""

    timeout: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Seconds after which the answer is a 504 and the work ends; a stream ends with an error event.",
    )


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


class ErrorDetail(Answer):
    """What was refused and why."""

    message: str
    type: str
    param: str | None = Field(description="The field at fault.")
    code: str


class ErrorAnswer(Answer):
    """The body of every refusal."""

    error: ErrorDetail
