"""Cells with gates: the GRU and the LSTM.

Shapes: B rows, I width of the input, H width of the layer, G gates (a multiple of H), C components of the state.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refrain.models.networks.cells.cell import Cell


class GRUCell(Cell):
    r"""A gated recurrent unit (Cho et al. 2014, with the reset gate after the product, as in cuDNN).

    .. math::
        r  &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr}) \\
        z  &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz}) \\
        n  &= \tanh(W_{in} x + b_{in} + r \odot (W_{hn} h + b_{hn})) \\
        h' &= (1 - z) \odot n + z \odot h
    """

    num_gates = 3

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        hidden_BH = state_CBH[0]
        input_BG, hidden_BG = self._products(input_BI, hidden_BH)
        input_r, input_z, input_n = input_BG.chunk(3, dim=1)
        hidden_r, hidden_z, hidden_n = hidden_BG.chunk(3, dim=1)
        reset_BH = torch.sigmoid(input_r + hidden_r)
        update_BH = torch.sigmoid(input_z + hidden_z)
        new_BH = torch.tanh(input_n + reset_BH * hidden_n)
        return torch.lerp(new_BH, hidden_BH, update_BH).unsqueeze(0)


class LSTMCell(Cell):
    r"""A long short-term memory (Hochreiter & Schmidhuber 1997; forget gate, Gers et al. 2000).

    .. math::
        i, f, g, o &= W_{ih} x + b_{ih} + W_{hh} h + b_{hh} \\
        c' &= \sigma(f) \odot c + \sigma(i) \odot \tanh(g) \\
        h' &= \sigma(o) \odot \tanh(c')
    """

    num_components = 2
    num_gates = 4

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        self._forget_bias = forget_bias
        super().__init__(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw as `torch.nn` does, but begin with open forget gates."""
        super().reset_parameters()
        open_forget_gates(self, self._forget_bias)

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        hidden_BH, cell_BH = state_CBH
        input_BG, hidden_BG = self._products(input_BI, hidden_BH)
        return lstm_gates(input_BG + hidden_BG, cell_BH)


def open_forget_gates(cell: Cell, bias: float) -> None:
    """Add to the bias of forget gates that stand second of four: with 1 a cell remembers at first.

    Source: Gers et al. 2000; Jozefowicz et al. 2015.
    """
    with torch.no_grad():
        cell.bias_ih[cell.hidden_size : 2 * cell.hidden_size] += bias


def lstm_gates(sums_BG: Tensor, cell_BH: Tensor) -> Tensor:
    """Return an LSTM's next state, [2, B, H], from the sums of its four gates and its cell."""
    i_BH, f_BH, g_BH, o_BH = sums_BG.chunk(4, dim=1)
    cell_BH = torch.sigmoid(f_BH) * cell_BH + torch.sigmoid(i_BH) * torch.tanh(g_BH)
    return torch.stack(((torch.sigmoid(o_BH) * torch.tanh(cell_BH)).to(cell_BH.dtype), cell_BH))
