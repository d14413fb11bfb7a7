"""What operations and drivers exchange.

An operation is a generator over token ids, without threads, event loops, settings or HTTP. It yields what it wants done
and is sent what was found out:

* a `Request`: its result; of a streamed one the first of several
* `MORE`: the next result of the same request; whatever else is yielded ends that request
* a `Gather`: the answers of its parts, in their order, which run side by side
* a `Delta`: nothing; it goes to whoever reads the operation as a stream

An operation is called with `yield from`; the functions below state the type of what is sent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, TypeVar

from refrain.inference.engine.request import (
    FinishReason,
    Predicted,
    Request,
    Scored,
    TextState,
    Written,
)
from refrain.inference.plain import Plain

R = TypeVar("R")


class _More(Enum):
    MORE = "more"


MORE: Final = _More.MORE


@dataclass(frozen=True)
class TokenAlternative(Plain):
    """A token that could have stood somewhere."""

    token: str
    logprob: float


@dataclass(frozen=True)
class TokenLogprob(Plain):
    """A token of a text: its surface, its log-probability (None: it has none), the likeliest in its place, its offset.

    The offset counts characters from the beginning of the text that the token is part of.
    """

    hidden = frozenset({"offset"})

    token: str
    logprob: float | None
    top: list[TokenAlternative]
    offset: int


@dataclass(frozen=True)
class Delta(Plain):
    """Some more text of one completion; the last one has a finish_reason, and the state if that was wanted."""

    hidden = frozenset({"state"})

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: list[TokenLogprob] = field(default_factory=list)
    state: TextState | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """Operations that run side by side."""

    operations: Sequence[Operation[Any]]


Work = Request | Gather | Delta | Literal[_More.MORE]
Operation = Generator[Work, Any, R]
"""Yields work, is sent what was found out, returns its answer."""


def gather(operations: Iterable[Operation[R]]) -> Operation[list[R]]:
    """Run operations side by side; return their answers in order. The first fault ends all of them."""
    operations = list(operations)
    if len(operations) == 1:  # of which nothing is to be kept apart
        return [(yield from operations[0])]
    answers: list[R] = yield Gather(operations)
    return answers


def scored(request: Request) -> Operation[Scored]:
    """Run a score."""
    result = yield request
    assert isinstance(result, Scored)
    return result


def predicted(request: Request) -> Operation[Predicted]:
    """Run a prediction."""
    result = yield request
    assert isinstance(result, Predicted)
    return result


def read(token_ids: Sequence[int], start: TextState | None = None) -> Operation[TextState]:
    """Read tokens; return the state to go on from. Nothing is predicted."""
    result = yield Request.read(token_ids, start)
    assert isinstance(result, Written)
    assert result.state is not None
    return result.state
