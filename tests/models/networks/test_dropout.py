"""Dropout masks keep the share that is asked for, each element by itself, and leave means as they are."""

import pytest
import torch
from torch import nn

from refrain.models.networks.cells import make_cell
from refrain.models.networks.dropout import dropout_mask
from refrain.models.networks.recurrent import with_dropped_weights

NUM = 1_000_000


@pytest.mark.parametrize("rate", [0.01, 0.35, 0.5, 0.9])
def test_a_mask_drops_its_share_and_keeps_the_mean(rate) -> None:
    torch.manual_seed(0)
    mask = dropout_mask(torch.empty(NUM), rate)
    kept = mask != 0
    deviation = (rate * (1 - rate) / NUM) ** 0.5
    assert abs((~kept).double().mean().item() - rate) < 5 * deviation
    assert torch.allclose(mask[kept], torch.tensor(1 / (1 - rate)), rtol=1e-3)


def test_neighbours_of_one_draw_do_not_depend_on_one_another() -> None:
    torch.manual_seed(0)
    kept_N4 = (dropout_mask(torch.empty(NUM // 4, 4), 0.35) != 0).double()
    correlations = torch.corrcoef(kept_N4.T) - torch.eye(4)
    assert correlations.abs().max() < 5 / (NUM / 4) ** 0.5
    assert torch.allclose(kept_N4.mean(0), torch.tensor(0.65, dtype=torch.double), atol=0.005)


def test_the_next_mask_is_another_and_a_seed_gives_it_again() -> None:
    torch.manual_seed(3)
    first, second = (dropout_mask(torch.empty(10, 7), 0.5) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(dropout_mask(torch.empty(10, 7), 0.5), first)


@pytest.mark.parametrize("rate", [1e-7, 1 - 1e-7])
def test_rates_at_the_edge_are_rounded_and_not_wrapped(rate) -> None:
    torch.manual_seed(0)
    dropped = (dropout_mask(torch.empty(1000), rate) == 0).double().mean().item()
    assert round(dropped) == round(rate)


def test_a_mask_has_the_type_and_shape_of_what_it_masks() -> None:
    columns = torch.empty(3, 5, 7, dtype=torch.bfloat16)[:, :1]
    mask = dropout_mask(columns, 0.5)
    assert mask.dtype == torch.bfloat16
    assert mask.shape == (3, 1, 7)
    assert not dropout_mask(nn.Parameter(torch.empty(3, 3)), 0.5).requires_grad


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_mask_can_be_drawn_on_cuda() -> None:
    mask = dropout_mask(torch.empty(NUM, device="cuda"), 0.35)
    assert abs((mask == 0).double().mean().item() - 0.35) < 0.003


def test_dropped_weights_scale_the_others_up_and_pass_the_gradient_on() -> None:
    torch.manual_seed(0)
    cell = make_cell("lstm", 16, 32)
    dropped = with_dropped_weights(cell, 0.4)
    factor = dropped.weight_hh / cell.weight_hh
    kept = factor != 0
    assert 0.35 < (~kept).float().mean() < 0.45
    assert torch.allclose(factor[kept], torch.tensor(1 / 0.6), rtol=1e-3)
    (gradient,) = torch.autograd.grad(dropped.weight_hh.sum(), cell.weight_hh)
    assert torch.equal(gradient != 0, kept)
