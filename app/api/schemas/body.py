"""What every body has in common: strict types, no unknown field, one text or several."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Texts = str | Annotated[list[str], Field(min_length=1)]
"""One text, or a list of at least one."""

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


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


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


def as_list(texts: str | list[str]) -> list[str]:
    """Take one text as a list of one."""
    return [texts] if isinstance(texts, str) else texts
