"""The chunked loss equals the plain one, in value and gradient."""

import pytest
import torch

import training.cross_entropy
from training.cross_entropy import chunked_cross_entropy


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_chunks_equal_the_whole_in_value_and_gradient(monkeypatch, rows_at_once) -> None:
    monkeypatch.setattr(training.cross_entropy, "CHUNK_ELEMENTS", 50 * rows_at_once)
    torch.manual_seed(0)
    inputs = [torch.randn(*shape).requires_grad_() for shape in ((9, 6), (50, 6), (50,))]
    targets = torch.randint(50, (9,))
    chunked = chunked_cross_entropy(*inputs, targets)
    plain = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*inputs), targets, reduction="sum"
    )
    torch.testing.assert_close(chunked, plain)
    ours = torch.autograd.grad(chunked / 3, inputs)
    theirs = torch.autograd.grad(plain / 3, inputs)
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(chunked_cross_entropy(*inputs, targets), plain)
