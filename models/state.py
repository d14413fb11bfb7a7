"""The whole memory of recurrent rows: what a slot holds, what travels between processes.

Shapes: L layers, C components a layer (LSTM: hidden and cell; others: one), B rows, H width of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refrain.models.errors import StateError


@dataclass(frozen=True)
class LayerShape:
    """What one layer remembers of one row: `components` vectors of `size` elements."""

    components: int
    size: int
    dtype: torch.dtype = torch.float32

    @property
    def num_bytes(self) -> int:
        """Length of one row, packed."""
        return self.components * self.size * self.dtype.itemsize


@dataclass(frozen=True)
class RecurrentState:
    """The memory of B rows, one tensor [C, B, H] for each layer.

    An n-gram model fits too: one integer layer [1, B, order - 1] with the last tokens.
    """

    layers: tuple[Tensor, ...]

    @classmethod
    def zeros(
        cls, shapes: Sequence[LayerShape], num_rows: int, device: torch.device | str = "cpu"
    ) -> RecurrentState:
        """Make the state of `num_rows` rows that have read nothing."""
        return cls(
            tuple(
                torch.zeros(
                    shape.components, num_rows, shape.size, dtype=shape.dtype, device=device
                )
                for shape in shapes
            )
        )

    @property
    def num_rows(self) -> int:
        """Number of rows B."""
        return self.layers[0].shape[1]

    def gather(self, rows: Tensor) -> RecurrentState:
        """Copy the rows with the given indices (int64 [B']) to a state of their own."""
        return RecurrentState(tuple(layer.index_select(1, rows) for layer in self.layers))

    def scatter(self, rows: Tensor, source: RecurrentState) -> None:
        """Write `source`, row by row, over the rows with the given indices, in place."""
        for layer, new in zip(self.layers, source.layers, strict=True):
            layer.index_copy_(1, rows, new)

    def clear(self, rows_B: Tensor) -> RecurrentState:
        """Return a state in which the rows marked true have read nothing."""
        return RecurrentState(
            tuple(layer.masked_fill(rows_B[None, :, None], 0) for layer in self.layers)
        )

    def detach(self) -> RecurrentState:
        """Cut the history of gradients: the end of a window in truncated backpropagation."""
        return RecurrentState(tuple(layer.detach() for layer in self.layers))

    def to(self, device: torch.device | str) -> RecurrentState:
        """Move to a device."""
        return RecurrentState(tuple(layer.to(device) for layer in self.layers))

    def to_bytes(self) -> bytes:
        """Pack all elements, layer after layer, in native order and without a header."""
        return b"".join(
            layer.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            for layer in self.layers
        )

    @classmethod
    def from_bytes(
        cls, packed: bytes, shapes: Sequence[LayerShape], num_rows: int = 1
    ) -> RecurrentState:
        """Unpack what `to_bytes` packed.

        Raises
        ------
        StateError
            If the number of bytes is not what `shapes` and `num_rows` need.
        """
        lengths = [num_rows * shape.num_bytes for shape in shapes]
        if len(packed) != sum(lengths):
            raise StateError(f"a state of this model has {sum(lengths)} bytes, not {len(packed)}")
        layers, start = [], 0
        for shape, length in zip(shapes, lengths, strict=True):
            piece = torch.frombuffer(bytearray(packed[start : start + length]), dtype=shape.dtype)
            layers.append(piece.view(shape.components, num_rows, shape.size))
            start += length
        return cls(tuple(layers))
