"""Small linear logits, and their plain cross-entropy."""

import torch


def example(num_rows=9, num_features=6, vocab_size=50, scale=1.0):
    torch.manual_seed(0)
    shapes = ((num_rows, num_features), (vocab_size, num_features), (vocab_size,))
    inputs = [(torch.randn(*shape) * scale).requires_grad_() for shape in shapes]
    return inputs, torch.randint(vocab_size, (num_rows,))


def plain_loss(inputs, targets):
    return torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*inputs), targets, reduction="sum"
    )
