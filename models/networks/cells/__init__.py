"""One step of time of each kind of recurrent layer.

Each cell holds the parameters of its layer under the names of its `torch.nn` twin, takes an input and a state, and
returns the next state; the first component of the state is the layer's output.
"""

from refrain.models.networks.cells.cell import Cell
from refrain.models.networks.cells.factory import make_cell
from refrain.models.networks.cells.gated import GRUCell, LSTMCell
from refrain.models.networks.cells.mogrifier import MogrifierCell
from refrain.models.networks.cells.simple import ElmanCell, FeedForwardCell, JordanCell

__all__ = [
    "Cell",
    "ElmanCell",
    "FeedForwardCell",
    "GRUCell",
    "JordanCell",
    "LSTMCell",
    "MogrifierCell",
    "make_cell",
]
