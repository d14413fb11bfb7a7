"""Where the memory of a sequence lies in its slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import StateError
from refrain.models.native.step.structures import Kind
from refrain.models.native.step.workspace import COLUMNS

UNITS = {Kind.ELMAN: COLUMNS, Kind.GRU: COLUMNS // 4, Kind.LSTM: COLUMNS // 4}
"""Units of a block."""
ZERO_POINT = 128
"""What stands for 0 in a hidden state."""


@dataclass(frozen=True)
class SlotLayout:
    """Where a sequence's memory stands in its slot, in bytes.

    Attributes
    ----------
    sizes
        Units of each layer, padded to whole blocks.
    hidden_at
        For each layer its two hidden states, 8 bits a unit: the last one and the one under way, in turn.
    carry_at
        For each layer the floats that are carried over; None where there are none (Elman).
    """

    kinds: tuple[Kind, ...]
    units: tuple[int, ...]
    sizes: tuple[int, ...]
    hidden_at: tuple[tuple[int, int], ...]
    carry_at: tuple[int, ...]
    num_bytes: int

    @classmethod
    def of(cls, layers: list[tuple[Kind, int]]) -> SlotLayout:
        """Lay out the layers of a stack one behind the other, at multiples of 64 bytes."""
        sizes, hidden_at, carry_at, offset = [], [], [], 0
        for kind, units in layers:
            size = -(-units // UNITS[kind]) * UNITS[kind]
            step = -(-size // 64) * 64
            sizes.append(size)
            hidden_at.append((offset, offset + step))
            offset += 2 * step
            carry_at.append(offset)
            offset += 0 if kind is Kind.ELMAN else 4 * step
        kinds, units_of = zip(*layers, strict=True)
        return cls(kinds, units_of, tuple(sizes), tuple(hidden_at), tuple(carry_at), offset)

    @property
    def num_state_bytes(self) -> int:
        """Length of a packed state: a byte a unit, and four more where a float is carried over."""
        return sum(
            units * (1 if kind is Kind.ELMAN else 5)
            for kind, units in zip(self.kinds, self.units, strict=True)
        )

    def clear(self, slot: NDArray[np.uint8]) -> None:
        """Reset a slot to have read nothing."""
        slot[:] = 0
        for size, (first, second) in zip(self.sizes, self.hidden_at, strict=True):
            slot[first : first + size] = ZERO_POINT
            slot[second : second + size] = ZERO_POINT

    def pack(self, slot: NDArray[np.uint8], parity: int) -> bytes:
        """Return a slot's memory without padding: what travels."""
        pieces = []
        for kind, units, hidden_at, carry_at in self._layers():
            pieces.append(slot[hidden_at[parity] : hidden_at[parity] + units].tobytes())
            if kind is not Kind.ELMAN:
                pieces.append(slot[carry_at : carry_at + 4 * units].tobytes())
        return b"".join(pieces)

    def unpack(self, packed: bytes, slot: NDArray[np.uint8]) -> None:
        """Write a packed memory to a slot, at parity 0.

        Raises
        ------
        StateError
            If it has another length.
        """
        if len(packed) != self.num_state_bytes:
            raise StateError(
                f"a state of this model has {self.num_state_bytes} bytes, not {len(packed)}"
            )
        self.clear(slot)
        source, offset = np.frombuffer(packed, np.uint8), 0
        for kind, units, hidden_at, carry_at in self._layers():
            slot[hidden_at[0] : hidden_at[0] + units] = source[offset : offset + units]
            offset += units
            if kind is not Kind.ELMAN:
                slot[carry_at : carry_at + 4 * units] = source[offset : offset + 4 * units]
                offset += 4 * units

    def _layers(self) -> list[tuple[Kind, int, tuple[int, int], int]]:
        return list(zip(self.kinds, self.units, self.hidden_at, self.carry_at, strict=True))
