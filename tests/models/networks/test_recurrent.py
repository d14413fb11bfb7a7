"""Stacks over time: twins, pieces, lengths, directions."""

import pytest
import torch
from torch import nn

from refrain.models.config import ClassifierConfig, LanguageModelConfig
from refrain.models.networks.recurrent import (
    BidirectionalStack,
    RecurrentStack,
    locked_dropout,
    reverse_within_lengths,
)
from refrain.models.state import RecurrentState


def stack_config(**changes) -> LanguageModelConfig:
    values = {
        "vocab_size": 10,
        "embedding_size": 6,
        "hidden_size": 8,
        "num_layers": 2,
        "tied": False,
    }
    return LanguageModelConfig(**{**values, **changes})


def test_a_stack_equals_a_torch_lstm_of_two_layers() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(stack_config())
    twin = nn.LSTM(6, 8, num_layers=2, batch_first=True)
    twin.load_state_dict(
        {
            f"{name}_l{index}": value
            for index, cell in enumerate(stack.layers)
            for name, value in cell.state_dict().items()
        }
    )
    input_BTE = torch.randn(3, 5, 6)
    outputs, state = stack(input_BTE, RecurrentState.zeros(stack.state_shapes, 3))
    twin_outputs, (hidden, memory) = twin(input_BTE)
    torch.testing.assert_close(outputs, twin_outputs)
    for index, layer in enumerate(state.layers):
        torch.testing.assert_close(layer, torch.stack((hidden[index], memory[index])))


@pytest.mark.parametrize("cell", ["feedforward", "elman", "jordan", "gru", "lstm", "mogrifier"])
def test_reading_in_two_pieces_equals_reading_at_once(cell) -> None:
    torch.manual_seed(1)
    stack = RecurrentStack(stack_config(cell=cell))
    input_BTE = torch.randn(2, 9, 6)
    whole, end = stack(input_BTE, RecurrentState.zeros(stack.state_shapes, 2))
    first, middle = stack(input_BTE[:, :4], RecurrentState.zeros(stack.state_shapes, 2))
    second, last = stack(input_BTE[:, 4:], middle)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    torch.testing.assert_close(last.layers, end.layers)


@pytest.mark.parametrize("cell", ["feedforward", "elman", "jordan", "gru", "lstm", "mogrifier"])
def test_batched_equals_alone(cell) -> None:
    torch.manual_seed(2)
    stack = RecurrentStack(stack_config(cell=cell))
    input_BTE = torch.randn(5, 4, 6)
    together, _ = stack(input_BTE, RecurrentState.zeros(stack.state_shapes, 5))
    for row in range(5):
        alone, _ = stack(input_BTE[row : row + 1], RecurrentState.zeros(stack.state_shapes, 1))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_two_directions_equal_a_torch_lstm_on_packed_sequences() -> None:
    torch.manual_seed(3)
    config = ClassifierConfig(
        vocab_size=10,
        labels=("a", "b"),
        label_scores=(0, 1),
        embedding_size=6,
        hidden_size=8,
        num_layers=2,
    )
    stack = BidirectionalStack(config)
    twin = nn.LSTM(6, 8, num_layers=2, batch_first=True, bidirectional=True)
    weights = {}
    for index in range(2):
        for cells, suffix in ((stack.forward_layers, ""), (stack.backward_layers, "_reverse")):
            for name, value in cells[index].state_dict().items():
                weights[f"{name}_l{index}{suffix}"] = value
    twin.load_state_dict(weights)
    lengths_B = torch.tensor([7, 4, 1])
    input_BTE = torch.randn(3, 7, 6)
    packed = nn.utils.rnn.pack_padded_sequence(input_BTE, lengths_B, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(twin(packed)[0], batch_first=True)
    outputs = stack(input_BTE, lengths_B)
    for row, length in enumerate(lengths_B):
        torch.testing.assert_close(outputs[row, :length], expected[row, :length])


def test_reversal_leaves_padding_where_it_is() -> None:
    rows = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [0.0]]])
    turned = reverse_within_lengths(rows, torch.tensor([3, 2]))
    assert turned[:, :, 0].tolist() == [[3, 2, 1], [5, 4, 0]]


def test_locked_dropout_drops_the_same_elements_at_every_time() -> None:
    torch.manual_seed(4)
    ones = torch.ones(64, 5, 32)
    dropped = locked_dropout(ones, 0.25, training=True)
    assert torch.equal(dropped[:, 0], dropped[:, 4])
    assert not torch.equal(dropped[0, 0], dropped[1, 0])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(locked_dropout(ones, 0.25, training=False), ones)


@pytest.mark.parametrize("cell", ["elman", "jordan", "gru", "lstm", "mogrifier"])
def test_dropped_weights_stay_dropped_over_time_and_gradients_reach_the_rest(cell) -> None:
    torch.manual_seed(6)
    stack = RecurrentStack(stack_config(cell=cell, num_layers=1, weight_dropout=0.5))
    input_BTE = torch.randn(3, 20, 6)
    stack(input_BTE, RecurrentState.zeros(stack.state_shapes, 3))[0].sum().backward()
    is_dropped = stack.layers[0].weight_hh.grad == 0
    assert 0.3 < is_dropped.float().mean() < 0.7
    stack.eval()
    stack.zero_grad()
    stack(input_BTE, RecurrentState.zeros(stack.state_shapes, 3))[0].sum().backward()
    assert (stack.layers[0].weight_hh.grad == 0).float().mean() < 0.1
    assert set(stack.state_dict()) == {f"layers.0.{name}" for name in stack.layers[0].state_dict()}


def test_locked_dropout_drops_other_units_in_other_rows() -> None:
    torch.manual_seed(0)
    dropped = locked_dropout(torch.ones(4, 5, 200), 0.5, training=True)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
