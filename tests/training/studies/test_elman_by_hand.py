"""The gradient written out by hand is autograd's, full and truncated in both ways."""

import numpy as np
import pytest
import torch

from refrain.training.studies.elman_by_hand import (
    ElmanWeights,
    backward,
    forward,
    parts_by_distance,
)

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def example(num_times, num_inputs, num_hidden, num_outputs):
    random = np.random.default_rng(num_times)
    sizes = {"num_inputs": num_inputs, "num_hidden": num_hidden, "num_outputs": num_outputs}
    weights = ElmanWeights.draw(random, **sizes)
    inputs = random.normal(size=(num_times, num_inputs))
    return weights, inputs, random.integers(num_outputs, size=num_times)


def as_parameters(weights):
    return [torch.tensor(array, requires_grad=True) for array in weights.arrays()]


def step(parameters, hidden, input_I):
    W_xh, W_hh, b_h, _, _ = parameters
    return torch.tanh(W_xh @ torch.tensor(input_I) + W_hh @ hidden + b_h)


def loss_of(parameters, hidden, target):
    logits = parameters[3] @ hidden + parameters[4]
    return torch.nn.functional.cross_entropy(logits[None], torch.tensor([target]))


def autograd(weights, inputs, targets, window):
    """The whole loss, with the state cut loose where a window begins."""
    parameters = as_parameters(weights)
    hidden, loss = torch.zeros(len(weights.b_h), dtype=torch.float64), 0
    for t, (input_I, target) in enumerate(zip(inputs, targets, strict=True)):
        if window and t % window == 0:
            hidden = hidden.detach()
        hidden = step(parameters, hidden, input_I)
        loss = loss + loss_of(parameters, hidden, target)
    return loss.item(), torch.autograd.grad(loss, parameters)


@pytest.mark.parametrize("window", [None, 1, 3, 7, 100])
@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (6, 3, 5, 4), (14, 2, 9, 3)])
def test_loss_and_gradient_equal_autograd(shape, window) -> None:
    weights, inputs, targets = example(*shape)
    read = forward(weights, inputs, targets)
    gradient = backward(weights, inputs, read, window)
    loss, expected = autograd(weights, inputs, targets, window)
    assert read.loss == pytest.approx(loss, rel=1e-12)
    for ours, theirs in zip(gradient.arrays(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), **TIGHT)


@pytest.mark.parametrize("reach", [1, 2, 5, 11])
def test_the_first_parts_equal_autograd_over_so_many_steps(reach) -> None:
    weights, inputs, targets = example(11, 3, 6, 4)
    read = forward(weights, inputs, targets)
    parameters = as_parameters(weights)
    expected = np.zeros_like(weights.W_hh)
    for t, target in enumerate(targets):
        first = max(0, t - reach + 1)
        hidden = torch.tensor(read.hidden_TH[first])
        for input_I in inputs[first : t + 1]:
            hidden = step(parameters, hidden, input_I)
        loss = loss_of(parameters, hidden, target)
        expected += torch.autograd.grad(loss, parameters)[1].numpy()
    ours = parts_by_distance(weights, read, reach).sum(axis=0)
    np.testing.assert_allclose(ours, expected, **TIGHT)


def test_all_parts_are_the_whole_gradient() -> None:
    weights, inputs, targets = example(9, 3, 5, 4)
    read = forward(weights, inputs, targets)
    whole = backward(weights, inputs, read).W_hh
    parts = parts_by_distance(weights, read, num_distances=9)
    np.testing.assert_allclose(parts.sum(axis=0), whole, **TIGHT)
