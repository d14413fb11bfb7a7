"""What the engine asks of whatever runs a model: slots, steps, and states that travel."""

from __future__ import annotations

import ctypes
from typing import Protocol

from refrain.inference.engine.sequence import Sequence
from refrain.models.native.step.shape import ModelShape


class Runner(Protocol):
    """A model with a fixed number of slots, each a sequence's whole memory."""

    interrupt: ctypes.c_int32
    """Any thread may set it to end `run` after the step under way."""

    shape: ModelShape

    is_quick: bool
    """Whether a few steps of one row take less time than to hand them to another thread."""

    def open(self, sequence: Sequence, packed: bytes | None) -> None:
        """Empty a sequence's slot, or fill it with a state of `shape.state_bytes`."""

    def run(self, sequences: list[Sequence], max_steps: int) -> int:
        """Advance every sequence, a token a step, until one is done or at its mark, or `interrupt` is set.

        Returns the number of steps.
        """

    def fork(self, source: Sequence, target: Sequence) -> None:
        """Copy the state in a sequence's slot to that of another, which is of one size whatever was read."""

    def pack(self, sequence: Sequence) -> bytes:
        """Return the packed state in a sequence's slot."""
