"""The gradient of distillation is that of the mixed loss."""

import pytest
import torch

from refrain.training.optimize.cross_entropy.distilled import Teacher, distilled_cross_entropy
from tests.support.logits import example, plain_loss


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_distilled_gradient_is_that_of_the_mixed_loss(share, is_half) -> None:
    inputs, targets = example(vocab_size=70)
    taught = Teacher(torch.randn(9, 4), torch.randn(70, 4), torch.randn(70))
    logits = torch.nn.functional.linear(*inputs)
    others = torch.nn.functional.linear(*taught).softmax(1)
    mixed = (1 - share) * plain_loss(inputs, targets)
    mixed = mixed + share * torch.nn.functional.cross_entropy(logits, others, reduction="sum")
    features = inputs[0].bfloat16() if is_half else inputs[0]
    ours = distilled_cross_entropy(features, *inputs[1:], targets, taught, share)
    bound = 0.02 if is_half else 1e-5
    assert ours.item() == pytest.approx(plain_loss(inputs, targets).item(), rel=bound)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(mixed, inputs), strict=True
    ):
        assert (one - other).norm() < bound * other.norm()
