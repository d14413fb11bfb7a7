"""The integer form of a language model: 8-bit weights and hidden states, exact under any batch.

Hidden states of LSTM, GRU and tanh networks lie in [-1, 1], so they take 8 bits with the constant scale 1/127 and no
calibration. The first layer's input product is a table with a row a token; every other product is 8-bit integers summed
in 32 bits, which is exact, so that a row's numbers depend on that row alone.

Shapes: V vocabulary, E embedding, H units, K elements read, G = 4 gates of LSTM and GRU (1 of Elman), N columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.errors import PrecisionError, StateError
from refrain.models.native.step.structures import Kind, LayerStruct, NetworkStruct
from refrain.models.native.step.table import compute_table
from refrain.models.native.step.workspace import COLUMNS, num_blocks_of
from refrain.models.networks.cells import Cell, ElmanCell, GRUCell, LSTMCell
from refrain.models.networks.language_model import LanguageModel

UNITS = {Kind.ELMAN: COLUMNS, Kind.GRU: COLUMNS // 4, Kind.LSTM: COLUMNS // 4}
"""Units of a block."""
ZERO_POINT = 128


def has_int8_form(model: object) -> bool:
    """Return whether a model is a recurrent language model with bounded hidden states."""
    return isinstance(model, LanguageModel) and all(
        _kind_of(cell) is not None for cell in model.stack.layers
    )


def _kind_of(cell: Cell) -> Kind | None:
    match cell:
        case LSTMCell():
            return Kind.LSTM
        case GRUCell():
            return Kind.GRU
        case ElmanCell(nonlinearity="tanh"):
            return Kind.ELMAN
        case _:
            return None


class Int8LanguageModel:
    """A recurrent language model as the native step reads it.

    Raises
    ------
    PrecisionError
        For a model whose hidden states are not bounded, or that has none.
    """

    def __init__(self, model: LanguageModel) -> None:
        if not has_int8_form(model):
            raise PrecisionError(
                "only LSTM, GRU and tanh language models have an int8 form; serve this one with --precision fp32"
            )
        self.vocab_size = model.vocab_size
        self.layout = SlotLayout.of(
            [(_kind(cell), cell.hidden_size) for cell in model.stack.layers]
        )
        self._kept: list[NDArray[np.generic]] = []
        layers = [self._layer(model, index) for index in range(len(model.stack.layers))]
        output = self._columns(
            _padded(model.output_matrix, num_blocks_of(self.vocab_size) * COLUMNS),
            self.layout.sizes[-1],
        )
        bias = np.full(num_blocks_of(self.vocab_size) * COLUMNS, -np.inf, np.float32)
        bias[: self.vocab_size] = model.output_bias.detach().float().numpy()
        self.struct = NetworkStruct(
            num_layers=len(layers),
            vocab_size=self.vocab_size,
            num_vocab_blocks=num_blocks_of(self.vocab_size),
            layers=(LayerStruct * len(layers))(*layers),
            output_weight=output.weight,
            output_offset=output.offset,
            output_scale=output.scale,
            output_bias=self._keep(bias),
            slot_bytes=self.layout.num_bytes,
        )

    @property
    def num_bytes(self) -> int:
        """Memory of tables, weights and scales."""
        return sum(array.nbytes for array in self._kept)

    def _layer(self, model: LanguageModel, index: int) -> LayerStruct:
        cell = list(model.stack.layers)[index]
        kind = _kind(cell)
        size = self.layout.sizes[index]
        input_size = self.layout.sizes[index - 1] if index else 0
        num_blocks = size // UNITS[kind]
        hidden_GHK, bias_GH = _gates(kind, cell.weight_hh, cell.bias_hh, from_input=False)
        input_GHK, input_bias_GH = _gates(kind, cell.weight_ih, cell.bias_ih, from_input=True)
        bias_N = _in_blocks((bias_GH + input_bias_GH)[:, :, None], size, kind)[:, 0]
        pieces_NK = [_padded_columns(_in_blocks(hidden_GHK, size, kind), size)]
        table, bias = None, None
        if index:
            pieces_NK.insert(0, _padded_columns(_in_blocks(input_GHK, size, kind), input_size))
            bias = self._keep(bias_N.numpy())
        else:
            input_NE = _in_blocks(input_GHK, size, kind)
            embedding_VE = model.embedding.weight.detach().float()
            table = self._keep(
                compute_table(
                    embedding_VE.numpy(),
                    input_NE.numpy(),
                    bias_N.numpy(),
                    num_threads=torch.get_num_threads(),
                )
            )
        columns = self._columns(torch.cat(pieces_NK, dim=1), input_size + size)
        return LayerStruct(
            kind=kind,
            num_blocks=num_blocks,
            input_size=input_size,
            hidden_size=size,
            table=table,
            bias=bias,
            weight=columns.weight,
            offset=columns.offset,
            scale=columns.scale,
            hidden_at=self.layout.hidden_at[index],
            carry_at=self.layout.carry_at[index],
        )

    def _columns(self, weight_NK: Tensor, num_k: int) -> _Columns:
        weight_NK = _padded_columns(weight_NK.detach().float(), num_k)
        quantised_NK, scale_N = quantise(weight_NK)
        offset_N = -ZERO_POINT * quantised_NK.to(torch.int32).sum(dim=1, dtype=torch.int32)
        return _Columns(
            weight=self._keep(_packed(quantised_NK)),
            offset=self._keep(offset_N.numpy()),
            scale=self._keep((scale_N / 127).numpy()),
        )

    def _keep(self, array: NDArray[np.generic]) -> int:
        array = np.ascontiguousarray(array)
        self._kept.append(array)
        return array.ctypes.data


@dataclass(frozen=True)
class _Columns:
    """Addresses of packed weights and what their products need."""

    weight: int
    offset: int
    scale: int


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
        sizes, hidden_at, carry_at, place = [], [], [], 0
        for kind, units in layers:
            size = -(-units // UNITS[kind]) * UNITS[kind]
            step = -(-size // 64) * 64
            sizes.append(size)
            hidden_at.append((place, place + step))
            place += 2 * step
            carry_at.append(place)
            place += 0 if kind is Kind.ELMAN else 4 * step
        kinds, units_of = zip(*layers, strict=True)
        return cls(kinds, units_of, tuple(sizes), tuple(hidden_at), tuple(carry_at), place)

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
        source, place = np.frombuffer(packed, np.uint8), 0
        for kind, units, hidden_at, carry_at in self._layers():
            slot[hidden_at[0] : hidden_at[0] + units] = source[place : place + units]
            place += units
            if kind is not Kind.ELMAN:
                slot[carry_at : carry_at + 4 * units] = source[place : place + 4 * units]
                place += 4 * units

    def _layers(self) -> list[tuple[Kind, int, tuple[int, int], int]]:
        return list(zip(self.kinds, self.units, self.hidden_at, self.carry_at, strict=True))


def quantise(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to int8 with one scale a row: `weight = int8 * scale`."""
    scale_N = weight_NK.abs().amax(dim=1).clamp(min=1e-12) / 127
    return (weight_NK / scale_N[:, None]).round().clamp(-127, 127).to(torch.int8), scale_N


def _kind(cell: Cell) -> Kind:
    kind = _kind_of(cell)
    assert kind is not None
    return kind


def _gates(kind: Kind, weight: Tensor, bias: Tensor, *, from_input: bool) -> tuple[Tensor, Tensor]:
    """Split a cell's matrix and bias to gates, [G, H, K] and [G, H].

    The candidate of a GRU needs the input's and the hidden state's share apart, so it has two gates, each of which one
    of the two leaves empty.
    """
    weight, bias = weight.detach().float(), bias.detach().float()
    num_gates = {Kind.ELMAN: 1, Kind.GRU: 3, Kind.LSTM: 4}[kind]
    weight_GHK = weight.view(num_gates, -1, weight.shape[1])
    bias_GH = bias.view(num_gates, -1)
    if kind is Kind.GRU:
        order = (0, 1, 2, 3) if from_input else (0, 1, 3, 2)
        weight_GHK = torch.cat((weight_GHK, torch.zeros_like(weight_GHK[:1])))[list(order)]
        bias_GH = torch.cat((bias_GH, torch.zeros_like(bias_GH[:1])))[list(order)]
    return weight_GHK, bias_GH


def _in_blocks(gates_GHK: Tensor, size: int, kind: Kind) -> Tensor:
    """Order the gates of units in blocks of 64 columns, [N, K]: 16 units of each gate side by side."""
    num_gates, num_units, num_k = gates_GHK.shape
    padded = torch.zeros(num_gates, size, num_k)
    padded[:, :num_units] = gates_GHK
    if kind is Kind.ELMAN:
        return padded[0]
    return padded.view(num_gates, size // 16, 16, num_k).transpose(0, 1).reshape(-1, num_k)


def _padded(weight_NK: Tensor, num_rows: int) -> Tensor:
    padded = torch.zeros(num_rows, weight_NK.shape[1])
    padded[: len(weight_NK)] = weight_NK.detach()
    return padded


def _padded_columns(weight_NK: Tensor, num_k: int) -> Tensor:
    padded = torch.zeros(len(weight_NK), num_k)
    padded[:, : weight_NK.shape[1]] = weight_NK
    return padded


def _packed(quantised_NK: Tensor) -> NDArray[np.int8]:
    """Order a matrix as product.h reads it: [N / 64][K / 4][64][4]."""
    num_columns, num_k = quantised_NK.shape
    blocks = quantised_NK.view(num_columns // COLUMNS, COLUMNS, num_k // 4, 4)
    packed: NDArray[np.int8] = blocks.transpose(1, 2).contiguous().numpy()
    return packed
