"""The chunked loss equals the plain one, in value and gradient."""

import pytest
import torch

from refrain.training.optimize.cross_entropy import chunked as module
from refrain.training.optimize.cross_entropy.chunked import chunked_cross_entropy
from tests.support.logits import example, plain_loss


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_chunks_equal_the_whole_in_value_and_gradient(monkeypatch, rows_at_once) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 50 * rows_at_once)
    inputs, targets = example()
    chunked, plain = chunked_cross_entropy(*inputs, targets), plain_loss(inputs, targets)
    torch.testing.assert_close(chunked, plain)
    ours = torch.autograd.grad(chunked / 3, inputs)
    theirs = torch.autograd.grad(plain / 3, inputs)
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(chunked_cross_entropy(*inputs, targets), plain)


@pytest.mark.parametrize("vocab_size", [50, 64, 203])
def test_bfloat16_gives_the_same_to_its_rounding(vocab_size) -> None:
    inputs, targets = example(vocab_size=vocab_size)
    halves = (inputs[0].bfloat16(), *inputs[1:])
    ours = chunked_cross_entropy(*halves, targets)
    rounded = [inputs[0].bfloat16().float(), inputs[1].bfloat16().float(), inputs[2]]
    theirs = plain_loss(rounded, targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-2)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        assert (one - other).norm() < 0.01 * other.norm()
