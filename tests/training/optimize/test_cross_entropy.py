"""The chunked loss equals the plain one, in value and gradient; the sampled one estimates it without bias."""

import pytest
import torch

from refrain.training.optimize.cross_entropy import chunked as module
from refrain.training.optimize.cross_entropy.chunked import chunked_cross_entropy
from refrain.training.optimize.cross_entropy.distilled import Teacher, distilled_cross_entropy
from refrain.training.optimize.cross_entropy.sampled import sampled_cross_entropy


def example(num_rows=9, num_features=6, vocab_size=50, scale=1.0):
    torch.manual_seed(0)
    shapes = ((num_rows, num_features), (vocab_size, num_features), (vocab_size,))
    inputs = [(torch.randn(*shape) * scale).requires_grad_() for shape in shapes]
    return inputs, torch.randint(vocab_size, (num_rows,))


def plain_loss(inputs, targets):
    return torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*inputs), targets, reduction="sum"
    )


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
