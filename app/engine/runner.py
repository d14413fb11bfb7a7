"""What the engine asks of whatever runs a model: slots, steps, and states that travel."""

from __future__ import annotations

import ctypes
from typing import Protocol

from app.engine.sequence import Sequence


class Runner(Protocol):
    """A model with a fixed number of slots, each a sequence's whole memory."""

    interrupt: ctypes.c_int32
    """Any thread may set it to end `run` after the step under way."""

    vocab_size: int

    is_quick: bool
    """Whether a few steps of one row take less time than to hand them to another thread."""

    hidden_size: int
    """Elements of a hidden state as a neural cache keeps it; 0 where the runner cannot blend with one."""

    def open(self, sequence: Sequence, packed: bytes | None) -> None:
        """Empty a sequence's slot, or fill it with a state.

        Raises
        ------
        StateError
            If the state is not one of this model.
        """
        ...

    def run(self, sequences: list[Sequence], max_steps: int) -> int:
        """Advance every sequence, a token a step, until one is done or at its mark, or `interrupt` is set.

        Gives the number of steps.
        """
        ...

    def fork(self, source: Sequence, target: Sequence) -> None:
        """Copy the state in a sequence's slot to that of another, which is of one size whatever was read."""
        ...

    def pack(self, sequence: Sequence) -> bytes:
        """Give the state in a sequence's slot."""
        ...
