"""The sampled loss estimates the plain one without bias."""

import pytest
import torch

from refrain.training.optimize.cross_entropy.sampled import sampled_cross_entropy
from tests.support.logits import example, plain_loss


def test_a_sample_of_every_rare_word_is_the_whole() -> None:
    inputs, targets = example()
    all_of_it = sampled_cross_entropy(*inputs, targets, num_frequent=20, num_sampled=30)
    torch.testing.assert_close(all_of_it, plain_loss(inputs, targets))


def test_a_sample_estimates_the_normaliser_without_bias() -> None:
    """With w weights, exp(loss) is the normaliser over the target's power, whose mean must be the exact one."""
    inputs, targets = example(num_rows=1, vocab_size=40, scale=0.5)
    with torch.no_grad():
        exact = plain_loss(inputs, targets).exp()
    estimates = torch.stack(
        [
            sampled_cross_entropy(*inputs, targets, num_frequent=10, num_sampled=10).exp().detach()
            for _ in range(3000)
        ]
    )
    error = estimates.std() / len(estimates) ** 0.5
    assert estimates.std() > 0
    assert (estimates.mean() - exact).abs() < 4 * error + 1e-3 * exact


@pytest.mark.parametrize("is_half", [False, True])
def test_the_sampled_gradient_is_that_of_its_own_value(is_half) -> None:
    inputs, targets = example(vocab_size=100)

    def parts(features):
        torch.manual_seed(3)
        return sampled_cross_entropy(
            features, *inputs[1:], targets, num_frequent=30, num_sampled=20
        )

    torch.manual_seed(3)
    drawn = torch.randperm(70)[:20] + 30
    logits = torch.nn.functional.linear(*inputs)
    is_candidate = torch.zeros(100, dtype=torch.bool)
    is_candidate[:30] = is_candidate[drawn] = True
    correction = torch.zeros(100)
    correction[30:] = torch.tensor(70 / 20).log()
    corrected = torch.where(is_candidate, logits + correction, -torch.inf)
    own = logits.gather(1, targets[:, None])
    corrected = corrected.scatter(1, targets[:, None], own)
    expected = (corrected.logsumexp(1) - own.squeeze(1)).sum()
    ours = parts(inputs[0].bfloat16() if is_half else inputs[0])
    bound = 0.02 if is_half else 1e-5
    assert ours.item() == pytest.approx(expected.item(), rel=bound)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        assert (one - other).norm() < bound * other.norm()
