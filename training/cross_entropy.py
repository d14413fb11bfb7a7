"""Cross-entropy of a large vocabulary, a few rows at a time.

Shapes: N rows, F features, V vocabulary. The logits of all rows at once would not fit any cache: at 3,000 rows
and 25,000 words they are 300 MB in float32, written and read several times. Here a chunk's logits, loss and
gradients are computed together, while they are at hand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 4_000_000
"""Logits computed at once: 16 MB in float32."""


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy, with the gradients found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any, features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
    ) -> Tensor:
        total = features_NF.new_zeros((), dtype=torch.float32)
        weight_grad_VF = torch.zeros_like(weight_VF, dtype=torch.float32)
        bias_grad_V = torch.zeros_like(bias_V, dtype=torch.float32)
        features_grads = []
        num_rows = max(1, CHUNK_ELEMENTS // len(bias_V))
        for rows_RF, targets_R in zip(
            features_NF.split(num_rows), targets_N.split(num_rows), strict=True
        ):
            scores_RV = torch.mm(rows_RF, weight_VF.t()).float().add_(bias_V)
            log_total_R1 = scores_RV.logsumexp(dim=1, keepdim=True)
            total += (log_total_R1 - scores_RV.gather(1, targets_R[:, None])).sum()
            error_RV = scores_RV.sub_(log_total_R1).exp_()
            error_RV.scatter_add_(1, targets_R[:, None], -torch.ones_like(log_total_R1))
            bias_grad_V += error_RV.sum(dim=0)
            error_RV = error_RV.to(rows_RF.dtype)
            features_grads.append(torch.mm(error_RV, weight_VF))
            weight_grad_VF += torch.mm(error_RV.t(), rows_RF)
        ctx.save_for_backward(
            torch.cat(features_grads), weight_grad_VF.to(weight_VF.dtype), bias_grad_V
        )
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (gradient,) = gradients
        features_grad_NF, weight_grad_VF, bias_grad_V = ctx.saved_tensors
        return (
            features_grad_NF * gradient,
            weight_grad_VF * gradient,
            bias_grad_V * gradient,
            None,
        )


def chunked_cross_entropy(
    features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
) -> Tensor:
    """Give the summed cross-entropy in nats of linear logits, equal to `torch.nn.functional.cross_entropy`.

    The products run in the type of the features (bfloat16 under autocast), sums and softmax in float32.
    """
    if not torch.is_grad_enabled():
        return _without_gradient(features_NF, weight_VF, bias_V, targets_N)
    loss: Tensor = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_NF, weight_VF.to(features_NF.dtype), bias_V, targets_N
    )
    return loss


def _without_gradient(
    features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
) -> Tensor:
    """Give the same sum where no gradient is wanted."""
    total = features_NF.new_zeros((), dtype=torch.float32)
    num_rows = max(1, CHUNK_ELEMENTS // len(bias_V))
    for rows_RF, targets_R in zip(
        features_NF.split(num_rows), targets_N.split(num_rows), strict=True
    ):
        scores_RV = torch.nn.functional.linear(rows_RF, weight_VF, bias_V).float()
        total += torch.nn.functional.cross_entropy(scores_RV, targets_R, reduction="sum")
    return total
