"""The data of the copy task, the measure, and the networks that are compared."""

import pytest
import torch

from refrain.models.networks.cells import make_cell
from refrain.training.studies.copy import BLANK, GO, NUM_SYMBOLS, Contender, accuracy, copy_batch
from refrain.training.studies.networks import CELLS, make_network, num_parameters, width_nearest


@pytest.mark.parametrize(("num_copied", "lag"), [(1, 1), (3, 4), (2, 10)])
def test_symbols_then_blanks_then_go_then_blanks(num_copied, lag) -> None:
    tokens, symbols = copy_batch(torch.Generator().manual_seed(0), 6, num_copied, lag)
    assert tokens.shape == (6, 2 * num_copied + lag)
    assert symbols.shape == (6, num_copied)
    assert symbols.max() < NUM_SYMBOLS
    for row, said in zip(tokens.tolist(), symbols.tolist(), strict=True):
        assert row == [*said, *[BLANK] * lag, GO, *[BLANK] * (num_copied - 1)]


def test_accuracy_counts_symbols() -> None:
    class SaysThree:
        def read(self, tokens, state):
            return torch.zeros(*tokens.shape, 1), state

        def zero_state(self, num_rows):
            return None

        def logits(self, features):
            return torch.nn.functional.one_hot(torch.full((len(features),), 3), 10).float()

    symbols = torch.tensor([[3, 1], [3, 3]])
    assert accuracy(SaysThree(), torch.zeros(2, 8, dtype=torch.long), symbols) == 0.75


@pytest.mark.parametrize(("embedding_size", "budget"), [(32, 20_000), (64, 65_000)])
def test_layers_are_of_equal_size_whatever_the_cell(embedding_size, budget) -> None:
    sizes = {"vocab_size": 10, "embedding_size": embedding_size, "budget": budget}
    layers = [num_parameters(make_network(cell, **sizes, seed=0).stack) for cell in CELLS]
    assert layers == pytest.approx([budget] * len(CELLS), rel=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_a_width_is_the_nearest_to_its_budget(cell) -> None:
    width = width_nearest(cell, 32, 20_000)
    off = [abs(num_parameters(make_cell(cell, 32, width + more)) - 20_000) for more in (-1, 0, 1)]
    assert min(off) == off[1]


def test_an_opened_forget_gate_is_named() -> None:
    assert Contender("lstm").name == "LSTM"
    assert Contender("lstm", 5.0).name == "LSTM, forget bias 5"
