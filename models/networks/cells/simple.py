"""Cells without gates: feed-forward, Elman's and Jordan's.

Shapes: B rows, I width of the input, H width of the layer, G gates (a multiple of H), C components of the state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from refrain.models.config import Nonlinearity
from refrain.models.networks.cells.cell import Cell

ACTIVATIONS: dict[Nonlinearity, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


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
