"""The compiled training layer equals the cells' own equations, to the rounding of bfloat16, in values and gradients."""

import pytest
import torch

from refrain.models.native.layer.layer import layer_backward, layer_forward
from refrain.models.native.layer.library import load_library
from refrain.models.native.layer.softmax import softmax_errors
from refrain.models.native.layer.structures import LayerKind
from refrain.models.networks.bf16_layer import Bf16Layer, bf16_kind
from refrain.models.networks.cells import make_cell
from refrain.models.networks.recurrent import run_layer, step_layer

CELLS = [("lstm", "tanh"), ("gru", "tanh"), *(("elman", n) for n in ("tanh", "relu", "sigmoid"))]


@pytest.fixture(autouse=True)
def without_amx(monkeypatch) -> None:
    """Test the compiled layer also where an LSTM would be left to oneDNN."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


def outputs_and_gradients(run, cell, inputs, state):
    """Outputs, last state, and the gradients of everything under fixed weights of the outputs."""
    torch.manual_seed(7)
    outputs, last = run()
    loss = (outputs.float() * torch.randn(outputs.shape)).sum() + (
        last * torch.randn(last.shape)
    ).sum()
    sources = [inputs, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    return [outputs.float(), last, *torch.autograd.grad(loss, sources)]


def with_threads(number, run):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        return run()
    finally:
        torch.set_num_threads(before)


def relative_error(ours, theirs) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize(("name", "nonlinearity"), CELLS)
@pytest.mark.parametrize("num_rows", [1, 7, 13])
def test_the_layer_equals_the_stepped_cell(name, nonlinearity, num_rows) -> None:
    torch.manual_seed(0)
    cell = make_cell(name, 24, 48, nonlinearity)
    inputs = torch.randn(num_rows, 9, 24, requires_grad=True)
    state = (torch.randn(cell.num_components, num_rows, 48) / 2).requires_grad_()

    def compiled():
        with torch.autocast("cpu", torch.bfloat16):
            assert bf16_kind(cell, inputs) is not None
            return run_layer(cell, inputs, state)

    ours = outputs_and_gradients(compiled, cell, inputs, state)
    theirs = outputs_and_gradients(lambda: step_layer(cell, inputs, state), cell, inputs, state)
    # ReLU's gradient jumps where rounding moves a unit over zero.
    bound = 0.15 if nonlinearity == "relu" else 0.012
    for one, other in zip(ours, theirs, strict=True):
        assert relative_error(one, other) < bound


@pytest.mark.parametrize("num_threads", [1, 3])
def test_threads_and_neighbours_change_nothing(num_threads) -> None:
    torch.manual_seed(1)
    cell = make_cell("lstm", 16, 32)
    inputs, state = torch.randn(5, 6, 16), torch.randn(2, 5, 32) / 2

    def run():
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            whole, _ = run_layer(cell, inputs, state)
            rows = [run_layer(cell, inputs[i : i + 1], state[:, i : i + 1])[0] for i in range(5)]
        return whole, rows

    whole, rows = with_threads(num_threads, run)
    assert torch.equal(whole, torch.cat(rows))


@pytest.mark.parametrize("variant", ["portable", "avx2"])
def test_every_variant_gives_about_the_same(monkeypatch, variant) -> None:
    if variant == "avx2" and not torch.cpu._is_avx2_supported():
        pytest.skip("needs AVX2")
    torch.manual_seed(2)
    cell = make_cell("gru", 16, 32)
    inputs = torch.randn(4, 5, 16, requires_grad=True)
    state = torch.zeros(1, 4, 32, requires_grad=True)

    def compiled():
        with torch.autocast("cpu", torch.bfloat16):
            kind = bf16_kind(cell, inputs)
            weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
            return Bf16Layer.apply(kind, inputs, state, *weights)

    theirs = outputs_and_gradients(compiled, cell, inputs, state)
    library = load_library(variant)
    monkeypatch.setattr("refrain.models.native.layer.layer.load_library", lambda: library)
    for one, other in zip(
        outputs_and_gradients(compiled, cell, inputs, state), theirs, strict=True
    ):
        assert relative_error(one, other) < 0.01


def test_a_width_that_fits_no_vector_takes_the_kernel_of_torch() -> None:
    cell = make_cell("lstm", 8, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert bf16_kind(cell, torch.zeros(1, 1, 8)) is None
        outputs, _ = run_layer(cell, torch.zeros(1, 1, 8), torch.zeros(2, 1, 24))
    assert outputs.shape == (1, 1, 24)


@pytest.mark.parametrize("num_threads", [1, 4])
def test_the_same_scores_give_the_same_bits_each_time(num_threads) -> None:
    torch.manual_seed(3)
    scores, bias = torch.randn(37, 300).bfloat16(), torch.randn(300)
    targets = torch.randint(300, (37,))

    def run():
        return [softmax_errors(scores.clone(), bias, targets) for _ in range(50)]

    found = with_threads(num_threads, run)
    assert all(
        torch.equal(one, other) for each in found for one, other in zip(each, found[0], strict=True)
    )


@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_gradients_do_not_depend_on_the_threads(name) -> None:
    torch.manual_seed(5)
    kind = {"lstm": LayerKind.LSTM, "gru": LayerKind.GRU}.get(name, LayerKind.ELMAN_TANH)
    gates, components = kind.num_gates * 32, 2 if name == "lstm" else 1
    products, weight = torch.randn(5, 6, gates).bfloat16(), torch.randn(gates, 32).bfloat16() / 6
    biases, state = (torch.randn(gates), torch.randn(gates)), torch.randn(components, 5, 32)
    output_grads, state_grad = torch.randn(5, 6, 32).bfloat16(), torch.randn(components, 5, 32)

    def run():
        found = layer_forward(kind, products, biases, weight, state)
        return layer_backward(kind, *found, weight, output_grads, state_grad)

    for one, other in zip(with_threads(1, run), with_threads(3, run), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "nonlinearity"), CELLS)
def test_nan_propagates(name, nonlinearity) -> None:
    cell = make_cell(name, 16, 16, nonlinearity)
    inputs = torch.zeros(2, 3, 16)
    inputs[1, 1, 4] = torch.nan
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        outputs, _ = run_layer(cell, inputs, torch.zeros(cell.num_components, 2, 16))
    assert outputs[0].isfinite().all()
    assert outputs[1, 0].isfinite().all()
    assert outputs[1, 1:].isnan().any(dim=1).all()
    scores = torch.zeros(2, 40).bfloat16()
    scores[1, 7] = torch.nan
    losses, _ = softmax_errors(scores, torch.zeros(40), torch.tensor([0, 0]))
    assert losses[0].isfinite()
    assert losses[1].isnan()
