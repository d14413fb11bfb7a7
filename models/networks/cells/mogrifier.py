"""The Mogrifier LSTM.

Shapes: B rows, I width of the input, H width of the layer, G gates (a multiple of H), C components of the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refrain.models.networks.cells.cell import Cell
from refrain.models.networks.cells.gated import lstm_gates, open_forget_gates


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
        self.left = nn.ParameterList(torch.empty(sizes[index % 2], rank) for index in range(rounds))
        self.right = nn.ParameterList(
            torch.empty(rank, sizes[(index + 1) % 2]) for index in range(rounds)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw as an LSTM does, with open forget gates."""
        super().reset_parameters()
        open_forget_gates(self, self._forget_bias)

    def forward(self, input_BI: Tensor, state_CBH: Tensor) -> Tensor:
        hidden_BH, cell_BH = state_CBH
        scaled = [input_BI, hidden_BH]
        for index, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            inner = nn.functional.linear(scaled[(index + 1) % 2], right)
            factor = 2 * torch.sigmoid(nn.functional.linear(inner, left))
            scaled[index % 2] = factor * scaled[index % 2]
        input_BG, hidden_BG = self._products(*scaled)
        return lstm_gates(input_BG + hidden_BG, cell_BH)
