"""What every cell is: the parameters of a layer and one step of it.

Shapes: B rows, I width of the input, H width of the layer, G gates (a multiple of H), C components of the state.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn


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
