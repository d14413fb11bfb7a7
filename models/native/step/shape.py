"""The sizes of a model that a native sequence depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a sequence needs to know of the model that reads it.

    Attributes
    ----------
    eos_id
        The token that begins and ends every text.
    hidden_size
        Elements of a hidden state as a neural cache keeps it; 0 where the runner cannot report one.
    state_bytes
        Length of a packed state.
    """

    vocab_size: int
    eos_id: int
    hidden_size: int = 0
    state_bytes: int = 0

    def spelled(self) -> str:
        """Return what a model's version hashes of its shape.

        Written out, and with the names of the first release, so that renaming a field here does not make every state
        that was signed before another version's.
        """
        return (
            f"ModelShape(vocab_size={self.vocab_size}, boundary_id={self.eos_id}, "
            f"hidden_size={self.hidden_size}, state_bytes={self.state_bytes})"
        )
