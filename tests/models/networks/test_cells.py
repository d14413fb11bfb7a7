"""Each cell equals its `torch.nn` twin, in values and in gradients."""

import pytest
import torch
from torch import nn

from refrain.models.networks.cells import Cell, make_cell
from refrain.models.networks.recurrent import run_layer, step_layer

TWINS = {
    ("lstm", "tanh"): lambda: nn.LSTM(5, 8, batch_first=True),
    ("gru", "tanh"): lambda: nn.GRU(5, 8, batch_first=True),
    ("elman", "tanh"): lambda: nn.RNN(5, 8, batch_first=True, nonlinearity="tanh"),
    ("elman", "relu"): lambda: nn.RNN(5, 8, batch_first=True, nonlinearity="relu"),
}
ALL_CELLS = [
    *TWINS,
    ("elman", "sigmoid"),
    ("jordan", "tanh"),
    ("jordan", "relu"),
    ("feedforward", "relu"),
    ("mogrifier", "tanh"),
]


def gradients_of(cell: Cell, run, input_BTI, state_CBH):
    leaves = [input_BTI.clone().requires_grad_(), state_CBH.clone().requires_grad_()]
    outputs, state = run(cell, *leaves)
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
    loss = (outputs * weights).sum() + state.square().sum()
    sources = [*leaves, *cell.parameters()]
    return outputs, state, torch.autograd.grad(loss, sources, materialize_grads=True)


@pytest.mark.parametrize(("name", "nonlinearity"), TWINS)
def test_a_cell_equals_its_torch_twin_in_values_and_gradients(name, nonlinearity) -> None:
    torch.manual_seed(0)
    cell, twin = make_cell(name, 5, 8, nonlinearity), TWINS[name, nonlinearity]()
    twin.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    input_BTI, state_CBH = torch.randn(3, 7, 5), torch.randn(cell.num_components, 3, 8)
    outputs, _, gradients = gradients_of(cell, step_layer, input_BTI, state_CBH)

    twin_input = input_BTI.clone().requires_grad_()
    twin_state = state_CBH.clone().requires_grad_()
    start = (twin_state[:1], twin_state[1:]) if name == "lstm" else twin_state
    twin_outputs, end = twin(twin_input, start)
    end = torch.cat(end) if name == "lstm" else end
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
    loss = (twin_outputs * weights).sum() + end.square().sum()
    twin_gradients = torch.autograd.grad(loss, [twin_input, twin_state, *twin.parameters()])

    torch.testing.assert_close(outputs, twin_outputs)
    for ours, theirs in zip(gradients, twin_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "nonlinearity"), ALL_CELLS)
def test_the_fused_kernel_equals_the_equation(name, nonlinearity) -> None:
    torch.manual_seed(1)
    cell = make_cell(name, 5, 8, nonlinearity)
    input_BTI, state_CBH = torch.randn(2, 9, 5), torch.randn(cell.num_components, 2, 8)
    stepped = gradients_of(cell, step_layer, input_BTI, state_CBH)
    fused = gradients_of(cell, run_layer, input_BTI, state_CBH)
    torch.testing.assert_close(fused, stepped, atol=1e-5, rtol=1e-4)


def test_a_jordan_cell_remembers_its_output_and_nothing_else() -> None:
    torch.manual_seed(2)
    cell = make_cell("jordan", 3, 4)
    input_BI, output_BH = torch.randn(1, 3), torch.rand(1, 4)
    hidden = torch.tanh(
        input_BI @ cell.weight_ih.T + cell.bias_ih + output_BH @ cell.weight_hh.T + cell.bias_hh
    )
    expected = torch.sigmoid(hidden @ cell.weight_ho.T + cell.bias_ho)
    torch.testing.assert_close(cell(input_BI, output_BH[None])[0], expected)


@pytest.mark.parametrize("name", ["lstm", "mogrifier"])
@pytest.mark.parametrize("bias", [1.0, 0.0, 5.0])
def test_forget_gates_begin_open_or_as_asked(name, bias) -> None:
    cell = make_cell(name, 3, 64, forget_bias=bias)
    forget = cell.bias_ih[64:128]
    assert forget.mean().item() == pytest.approx(bias, abs=0.05)
    assert cell.bias_ih[:64].abs().max().item() <= 1 / 8


def test_a_feed_forward_cell_forgets() -> None:
    cell = make_cell("feedforward", 5, 8)
    input_BI = torch.randn(3, 5)
    expected = torch.tanh(input_BI @ cell.weight_ih.T + cell.bias_ih)
    for state_CBH in (torch.zeros(1, 3, 8), torch.randn(1, 3, 8)):
        torch.testing.assert_close(cell(input_BI, state_CBH)[0], expected)
    assert set(cell.state_dict()) == {"weight_ih", "bias_ih"}


def test_a_mogrifier_scales_input_and_state_in_turns_before_an_lstm_step() -> None:
    torch.manual_seed(3)
    cell, lstm = make_cell("mogrifier", 5, 8, rounds=3, rank=2), make_cell("lstm", 5, 8)
    with torch.no_grad():
        for parameter in (*cell.left, *cell.right):
            parameter.normal_()
    lstm.load_state_dict({name: cell.state_dict()[name] for name in lstm.state_dict()})
    x, (h, c) = torch.randn(4, 5), torch.randn(2, 4, 8)
    matrices = [left @ right for left, right in zip(cell.left, cell.right, strict=True)]
    x1 = 2 * torch.sigmoid(h @ matrices[0].T) * x
    h1 = 2 * torch.sigmoid(x1 @ matrices[1].T) * h
    x2 = 2 * torch.sigmoid(h1 @ matrices[2].T) * x1
    expected = lstm(x2, torch.stack((h1, c)))
    torch.testing.assert_close(cell(x, torch.stack((h, c))), expected)
