"""The cell that a configuration names."""

from __future__ import annotations

from refrain.models.config import CellName, Nonlinearity
from refrain.models.networks.cells.cell import Cell
from refrain.models.networks.cells.gated import GRUCell, LSTMCell
from refrain.models.networks.cells.mogrifier import MogrifierCell
from refrain.models.networks.cells.simple import ElmanCell, FeedForwardCell, JordanCell


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
