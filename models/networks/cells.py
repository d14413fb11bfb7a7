"""One step of time of each kind of recurrent layer.

Each cell holds the parameters of its layer under the names of its `torch.nn` twin, takes an input and a
state, and gives the next state; the first component of the state is the layer's output.

Shapes: B rows, I width of the input, H width of the layer, G gates (a multiple of H), C components of the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from refrain.models.config import CellName, Nonlinearity

ACTIVATIONS: dict[Nonlinearity, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


class Cell(nn.Module):
    """The parameters of a layer and one step of it.

    Attributes
    ----------
    num_components
        Vectors of width H that the layer remembers: two in an LSTM, else one.
    num_gates
        Blocks of H rows in the weight matrices.
    is_recurrent
        Whether there are weights from the state to the next one.
    """

    num_components: ClassVar[int] = 1
    num_gates: ClassVar[int] = 1
    is_recurrent: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        num_rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(num_rows, input_size))
        if self.is_recurrent:
            self.weight_hh = nn.Parameter(torch.empty(num_rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(num_rows))
        if self.is_recurrent:
            self.bias_hh = nn.Parameter(torch.empty(num_rows))
        self.reset_parameters()

    def parameters_of_nn(self) -> list[Tensor]:
        """Return the parameters that the twin in `torch.nn` has, in its order."""
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]

    def reset_parameters(self) -> None:
        """Draw all parameters from U(-1/sqrt(H), 1/sqrt(H)), as `torch.nn` does."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        """Return the state after one more input, [C, B, H]."""
        raise NotImplementedError

    def _products(self, input_BI: Tensor, hidden_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input's and the state's share of every gate, each [B, G]."""
        return (
            nn.functional.linear(input_BI, self.weight_ih, self.bias_ih),
            nn.functional.linear(hidden_BH, self.weight_hh, self.bias_hh),
        )


class FeedForwardCell(Cell):
    r"""A layer without memory: the simple recurrent network less its recurrent weights.

    .. math:: h' = \varphi(W_{ih} x + b_{ih})

    A language model of it sees one token: a bigram model with word vectors (Bengio et al. 2003, of order 2).
    """

    is_recurrent = False

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: Nonlinearity = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        del state_CBH
        return self.transform(input_BI).unsqueeze(0)

    def transform(self, input_NI: Tensor) -> Tensor:
        """Return the outputs of any number of inputs, [..., H]: no time depends on another."""
        sums = nn.functional.linear(input_NI, self.weight_ih, self.bias_ih)
        return ACTIVATIONS[self.nonlinearity](sums)


class ElmanCell(Cell):
    r"""The simple recurrent network (Elman 1990).

    .. math:: h' = \varphi(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})
    """

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: Nonlinearity = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        input_BG, hidden_BG = self._products(input_BI, state_CBH[0])
        return ACTIVATIONS[self.nonlinearity](input_BG + hidden_BG).unsqueeze(0)


class JordanCell(Cell):
    r"""A network whose output, not its hidden layer, is fed back (Jordan 1986).

    .. math::
        h  &= \varphi(W_{ih} x + b_{ih} + W_{hh} y + b_{hh}) \\
        y' &= \sigma(W_{ho} h + b_{ho})

    The state is the output y, as wide as the layer, so that the layer's memory is just what the outside
    sees of it: the "back projections" of the early papers. In a language model y stands below the softmax over the
    vocabulary, which is not fed back; and Jordan's decaying trace of earlier outputs is left out.
    """

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: Nonlinearity = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity
        self.weight_ho = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias_ho = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        input_BG, output_BG = self._products(input_BI, state_CBH[0])
        hidden_BH = ACTIVATIONS[self.nonlinearity](input_BG + output_BG)
        return torch.sigmoid(
            nn.functional.linear(hidden_BH, self.weight_ho, self.bias_ho)
        ).unsqueeze(0)


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


class MogrifierCell(Cell):
    r"""An LSTM whose input and state scale each other, in turns, before they meet (Melis et al. 2020).

    .. math::
        x^{i} &= 2 \sigma(Q^{i} h^{i-1}) \odot x^{i-2} \quad \text{for odd } i \\
        h^{i} &= 2 \sigma(R^{i} x^{i-1}) \odot h^{i-2} \quad \text{for even } i \le \text{rounds}

    and an LSTM's step with the last x and h. Each matrix is a product of two of `rank` columns and rows.
    """

    num_components = 2
    num_gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        rounds: int = 5,
        rank: int = 84,
        forget_bias: float = 1.0,
    ) -> None:
        self._forget_bias = forget_bias
        super().__init__(input_size, hidden_size)
        sizes = (input_size, hidden_size)
        self.left = nn.ParameterList(torch.empty(sizes[turn % 2], rank) for turn in range(rounds))
        self.right = nn.ParameterList(
            torch.empty(rank, sizes[(turn + 1) % 2]) for turn in range(rounds)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw as an LSTM does, with open forget gates."""
        super().reset_parameters()
        open_forget_gates(self, self._forget_bias)

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        hidden_BH, cell_BH = state_CBH
        scaled = [input_BI, hidden_BH]
        for turn, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            inner = nn.functional.linear(scaled[(turn + 1) % 2], right)
            factor = 2 * torch.sigmoid(nn.functional.linear(inner, left))
            scaled[turn % 2] = factor * scaled[turn % 2]
        input_BG, hidden_BG = self._products(*scaled)
        return lstm_gates(input_BG + hidden_BG, cell_BH)


def make_cell(
    name: CellName,
    input_size: int,
    hidden_size: int,
    nonlinearity: Nonlinearity = "tanh",
    *,
    forget_bias: float = 1.0,
    rounds: int = 5,
    rank: int = 84,
) -> Cell:
    """Make the cell of a configuration; `rounds` and `rank` are a Mogrifier's, `forget_bias` an LSTM's too."""
    match name:
        case "feedforward":
            return FeedForwardCell(input_size, hidden_size, nonlinearity)
        case "mogrifier":
            return MogrifierCell(
                input_size, hidden_size, rounds=rounds, rank=rank, forget_bias=forget_bias
            )
        case "elman":
            return ElmanCell(input_size, hidden_size, nonlinearity)
        case "jordan":
            return JordanCell(input_size, hidden_size, nonlinearity)
        case "gru":
            return GRUCell(input_size, hidden_size)
        case "lstm":
            return LSTMCell(input_size, hidden_size, forget_bias)
