"""Cells over time: one layer, a stack in one direction, a stack in two.

Shapes: B rows, T times, I width of the input, H width of a layer, C components of a layer's state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from refrain.models.config import RecurrentConfig
from refrain.models.networks.bf16_layer import Bf16Layer, bf16_kind
from refrain.models.networks.cells import (
    Cell,
    ElmanCell,
    FeedForwardCell,
    GRUCell,
    LSTMCell,
    make_cell,
)
from refrain.models.networks.dropout import dropout_mask
from refrain.models.state import LayerShape, RecurrentState


def run_layer(
    cell: Cell, input_BTI: Tensor, state_CBH: Tensor, weight_dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Run one layer over time: the outputs [B, T, H] and the state after the last, [C, B, H].

    A feed-forward layer reads all times at once. On the processor in bfloat16, LSTM, GRU and Elman cells take this
    project's compiled layer; else they take the kernel of `torch.nn`, where it has one, with the cell's own
    parameters. The others are stepped.
    """
    if isinstance(cell, FeedForwardCell):
        output_BTH = cell.transform(input_BTI)
        return output_BTH, output_BTH[:, -1].float().unsqueeze(0)
    if weight_dropout:
        cell = with_dropped_weights(cell, weight_dropout)
    kind = bf16_kind(cell, input_BTI)
    if kind is None:
        before = state_CBH.dtype
        output_BTH, state_CBH = run_kernel(cell, input_BTI, state_CBH)
        return output_BTH, state_CBH.to(before)
    outputs: tuple[Tensor, Tensor] = Bf16Layer.apply(  # type: ignore[no-untyped-call]
        kind, input_BTI, state_CBH, *cell.parameters_of_nn()
    )
    return outputs


def run_kernel(cell: Cell, input_BTI: Tensor, state_CBH: Tensor) -> tuple[Tensor, Tensor]:
    """Run one layer by the kernel of `torch.nn`, or step it where there is none."""
    weights = cell.parameters_of_nn()
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
    match cell:
        case LSTMCell():
            hidden_1BH, memory_1BH = (part.contiguous() for part in state_CBH.split(1))
            output_BTH, hidden_1BH, memory_1BH = torch.lstm(
                input_BTI, (hidden_1BH, memory_1BH), weights, *options
            )
            return output_BTH, torch.cat((hidden_1BH, memory_1BH))
        case GRUCell():
            return torch.gru(input_BTI, state_CBH, weights, *options)
        case ElmanCell(nonlinearity="tanh"):
            return torch.rnn_tanh(input_BTI, state_CBH, weights, *options)
        case ElmanCell(nonlinearity="relu"):
            return torch.rnn_relu(input_BTI, state_CBH, weights, *options)
        case _:
            return step_layer(cell, input_BTI, state_CBH)


def with_dropped_weights(cell: Cell, rate: float) -> Cell:
    """Return the cell with a share of its weights from state to state at zero, the others scaled up.

    The gradient flows to the cell's own weights. One draw holds for all rows and times of a window.
    """
    dropped = copy.copy(cell)
    dropped._parameters = dict(cell._parameters)
    del dropped._parameters["weight_hh"]
    dropped.weight_hh = cell.weight_hh * dropout_mask(cell.weight_hh, rate)  # type: ignore[assignment]
    return dropped


def step_layer(cell: Cell, input_BTI: Tensor, state_CBH: Tensor) -> tuple[Tensor, Tensor]:
    """Run one layer by its own equation, a step at a time: what every fused kernel must equal."""
    outputs = []
    for input_BI in input_BTI.unbind(dim=1):
        state_CBH = cell(input_BI, state_CBH)
        outputs.append(state_CBH[0])
    return torch.stack(outputs, dim=1), state_CBH


def locked_dropout(input_BTI: Tensor, rate: float, training: bool) -> Tensor:
    """Drop the same elements of a row at every time (Gal & Ghahramani 2016)."""
    if not training or rate == 0:
        return input_BTI
    return input_BTI * dropout_mask(input_BTI[:, :1], rate)


def reverse_within_lengths(input_BTI: Tensor, lengths_B: Tensor) -> Tensor:
    """Turn each row's first `length` times around and leave its padding where it is."""
    times_T = torch.arange(input_BTI.shape[1], device=input_BTI.device)
    mirrored_BT = lengths_B[:, None] - 1 - times_T
    index_BT = torch.where(mirrored_BT >= 0, mirrored_BT, times_T)
    return input_BTI.gather(1, index_BT[:, :, None].expand_as(input_BTI))


class Cells(nn.ModuleList):
    """The cells of a stack whose layers read vectors of `input_sizes`."""

    def __init__(self, config: RecurrentConfig, input_sizes: Sequence[int]) -> None:
        super().__init__(
            make_cell(
                config.cell,
                input_size,
                hidden_size,
                config.nonlinearity,
                forget_bias=config.forget_bias,
                rounds=config.mogrifier_rounds,
                rank=config.mogrifier_rank,
            )
            for input_size, hidden_size in zip(input_sizes, config.layer_sizes, strict=True)
        )

    def __iter__(self) -> Iterator[Cell]:
        return cast("Iterator[Cell]", super().__iter__())


class RecurrentStack(nn.Module):
    """Layers over time in one direction, with the state going in and coming out."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.hidden_dropout = config.hidden_dropout
        self.weight_dropout = config.weight_dropout
        self.layers = Cells(config, (config.embedding_size, *config.layer_sizes[:-1]))

    @property
    def state_shapes(self) -> tuple[LayerShape, ...]:
        """What the stack remembers of a row."""
        return tuple(LayerShape(cell.num_components, cell.hidden_size) for cell in self.layers)

    def forward(self, input_BTI: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read T more vectors in each row: outputs of the last layer, and the state after them."""
        states = []
        for index, (cell, state_CBH) in enumerate(zip(self.layers, state.layers, strict=True)):
            if index:
                input_BTI = locked_dropout(input_BTI, self.hidden_dropout, self.training)
            input_BTI, state_CBH = run_layer(
                cell, input_BTI, state_CBH, self.weight_dropout if self.training else 0.0
            )
            states.append(state_CBH)
        return input_BTI, RecurrentState(tuple(states))


class BidirectionalStack(nn.Module):
    """Layers that read a whole text from both ends (Schuster & Paliwal 1997).

    Each layer reads both directions of the layer below, so that layer k > 0 has inputs of 2H.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.hidden_dropout = config.hidden_dropout
        self.weight_dropout = config.weight_dropout
        input_sizes = (config.embedding_size, *(2 * size for size in config.layer_sizes[:-1]))
        self.forward_layers = Cells(config, input_sizes)
        self.backward_layers = Cells(config, input_sizes)

    def forward(self, input_BTI: Tensor, lengths_B: Tensor) -> Tensor:
        """Read texts padded at their end; outputs [B, T, 2H], of which those past a length mean nothing."""
        rate = self.weight_dropout if self.training else 0.0
        for index, (ahead, back) in enumerate(
            zip(self.forward_layers, self.backward_layers, strict=True)
        ):
            if index:
                input_BTI = locked_dropout(input_BTI, self.hidden_dropout, self.training)
            input_BTI = torch.cat(
                (
                    run_from_zero(ahead, input_BTI, rate),
                    reverse_within_lengths(
                        run_from_zero(back, reverse_within_lengths(input_BTI, lengths_B), rate),
                        lengths_B,
                    ),
                ),
                dim=2,
            )
        return input_BTI


def run_from_zero(cell: Cell, input_BTI: Tensor, weight_dropout: float) -> Tensor:
    """Run one layer from a zero state and give its outputs."""
    state_CBH = input_BTI.new_zeros(cell.num_components, input_BTI.shape[0], cell.hidden_size)
    return run_layer(cell, input_BTI, state_CBH, weight_dropout)[0]
