"""A recurrent language model as the native step reads it.

The first layer's input product is a table with a row a token; every other product is 8-bit integers summed in 32 bits.

Shapes: V vocabulary, E embedding, H units, K elements read, G gates, N columns.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.errors import PrecisionError
from refrain.models.int8.blocks import (
    blocks_of,
    gates_of,
    packed,
    padded_columns,
    padded_rows,
    quantise,
)
from refrain.models.int8.slot_layout import UNITS, ZERO_POINT, SlotLayout
from refrain.models.native.step.structures import Kind, LayerStruct, NetworkStruct
from refrain.models.native.step.table import compute_table
from refrain.models.native.step.workspace import COLUMNS, num_blocks_of
from refrain.models.networks.cells import Cell, ElmanCell, GRUCell, LSTMCell
from refrain.models.networks.language_model import LanguageModel


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


def _kind(cell: Cell) -> Kind:
    kind = _kind_of(cell)
    assert kind is not None
    return kind


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
            padded_rows(model.output_matrix, num_blocks_of(self.vocab_size) * COLUMNS),
            self.layout.sizes[-1],
        )
        bias = np.full(num_blocks_of(self.vocab_size) * COLUMNS, -np.inf, np.float32)
        bias[: self.vocab_size] = model.output_bias.detach().float().numpy()
        self.struct = NetworkStruct(
            num_layers=len(layers),
            vocab_size=self.vocab_size,
            num_vocab_blocks=num_blocks_of(self.vocab_size),
            layers=(LayerStruct * len(layers))(*layers),
            output_weight=output["weight"],
            output_offset=output["offset"],
            output_scale=output["scale"],
            output_bias=self._keep(bias),
            slot_bytes=self.layout.num_bytes,
        )

    @property
    def num_bytes(self) -> int:
        """Memory of tables, weights and scales."""
        return sum(array.nbytes for array in self._kept)

    def _layer(self, model: LanguageModel, index: int) -> LayerStruct:
        cell = list(model.stack.layers)[index]
        kind, size = _kind(cell), self.layout.sizes[index]
        input_size = self.layout.sizes[index - 1] if index else 0
        hidden_GHK, bias_GH = gates_of(kind, cell.weight_hh, cell.bias_hh, from_input=False)
        input_GHK, input_bias_GH = gates_of(kind, cell.weight_ih, cell.bias_ih, from_input=True)
        input_NK = blocks_of(input_GHK, size, kind)
        weight_NK = padded_columns(blocks_of(hidden_GHK, size, kind), size)
        bias_N = blocks_of((bias_GH + input_bias_GH)[:, :, None], size, kind)[:, 0]
        if index:
            weight_NK = torch.cat((padded_columns(input_NK, input_size), weight_NK), dim=1)
            inputs = {"bias": self._keep(bias_N.numpy())}
        else:
            inputs = {"table": self._table(model, input_NK, bias_N)}
        return LayerStruct(
            kind=kind,
            num_blocks=size // UNITS[kind],
            input_size=input_size,
            hidden_size=size,
            hidden_at=self.layout.hidden_at[index],
            carry_at=self.layout.carry_at[index],
            **inputs,
            **self._columns(weight_NK, input_size + size),
        )

    def _table(self, model: LanguageModel, weight_NE: Tensor, bias_N: Tensor) -> int:
        """Return the address of the first layer's table: the input product of every token."""
        embedding_VE = model.embedding.weight.detach().float().numpy()
        num_threads = torch.get_num_threads()
        return self._keep(
            compute_table(embedding_VE, weight_NE.numpy(), bias_N.numpy(), num_threads=num_threads)
        )

    def _columns(self, weight_NK: Tensor, num_k: int) -> dict[str, int]:
        """Return the addresses of packed weights and of what their products need."""
        quantised_NK, scale_N = quantise(padded_columns(weight_NK.detach().float(), num_k))
        offset_N = -ZERO_POINT * quantised_NK.to(torch.int32).sum(dim=1, dtype=torch.int32)
        return {
            "weight": self._keep(packed(quantised_NK)),
            "offset": self._keep(offset_N.numpy()),
            "scale": self._keep((scale_N / 127).numpy()),
        }

    def _keep(self, array: NDArray[np.generic]) -> int:
        array = np.ascontiguousarray(array)
        self._kept.append(array)
        return array.ctypes.data
