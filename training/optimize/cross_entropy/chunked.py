"""Cross-entropy of a large vocabulary, with its gradient found on the way forward.

Shapes: N rows, F features, V vocabulary, C candidates (a part of the vocabulary), R rows of a chunk.

The logits of all rows at once are the largest thing of a training step: at 3,000 rows and 25,000 words 300 MB in
float32, written and read several times by the plain way. Here a chunk of them becomes the loss's gradient where it
stands, and is multiplied on. In bfloat16 on the processor that is one pass of `refrain.models.native.layer.softmax`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from refrain.models.native.layer.softmax import softmax_errors

CHUNK_ELEMENTS = 64_000_000
"""Logits computed at once: 128 MB in bfloat16."""


def chunk_rows(vocab_size: int, logits_per_word: int = 1) -> int:
    """Return the rows of a chunk, of each of whose words so many logits exist at once."""
    return max(1, CHUNK_ELEMENTS // logits_per_word // vocab_size)


def chunked_cross_entropy(
    features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
) -> Tensor:
    """Return the summed cross-entropy in nats of linear logits, equal to `torch.nn.functional.cross_entropy`.

    The products run in the type of the features (bfloat16 under autocast), sums and softmax in float32.
    """
    if not torch.is_grad_enabled():
        return _without_gradient(features_NF, weight_VF, bias_V, targets_N)
    loss: Tensor = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_NF, weight_VF, bias_V, targets_N
    )
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy, with the gradients found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any, features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
    ) -> Tensor:
        num_rows = chunk_rows(len(bias_V))
        weight_in_type_VF = weight_VF.to(features_NF.dtype)
        total = bias_V.new_zeros(())
        bias_grad_V = torch.zeros_like(bias_V)
        features_grads, weight_grad_VF = [], None
        for rows_RF, targets_R in zip(
            features_NF.split(num_rows), targets_N.split(num_rows), strict=True
        ):
            scores_RV = torch.mm(rows_RF, weight_in_type_VF.t())
            losses_R, error_RV, bias_part_V = softmax_error(scores_RV, bias_V, targets_R)
            total += losses_R.sum()
            bias_grad_V += bias_part_V
            features_grads.append(torch.mm(error_RV, weight_in_type_VF))
            part_VF = torch.mm(error_RV.t(), rows_RF)
            weight_grad_VF = accumulate(weight_grad_VF, part_VF, weight_VF.dtype)
        ctx.save_for_backward(torch.cat(features_grads), weight_grad_VF, bias_grad_V)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(saved * gradients[0] for saved in ctx.saved_tensors), None)


def accumulate(total: Tensor | None, part: Tensor, dtype: torch.dtype) -> Tensor:
    """Add a part to a total of a type, in place, or begin one."""
    return part.to(dtype) if total is None else total.add_(part)


def softmax_error(
    scores_RV: Tensor, bias_V: Tensor, targets_R: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the losses, the errors (softmax less one at the target) in the scores' type, and their sum over rows."""
    if scores_RV.dtype == torch.bfloat16 and scores_RV.device.type == "cpu":
        losses_R, bias_grad_V = softmax_errors(scores_RV, bias_V.detach(), targets_R)
        return losses_R, scores_RV, bias_grad_V
    error_RV = scores_RV.float().add_(bias_V)
    log_total_R1 = error_RV.logsumexp(dim=1, keepdim=True)
    losses_R = (log_total_R1 - error_RV.gather(1, targets_R[:, None])).squeeze(1)
    error_RV = error_RV.sub_(log_total_R1).exp_()
    error_RV.scatter_add_(1, targets_R[:, None], -torch.ones_like(log_total_R1))
    return losses_R, error_RV.to(scores_RV.dtype), error_RV.sum(dim=0)


def _without_gradient(
    features_NF: Tensor, weight_VF: Tensor, bias_V: Tensor, targets_N: Tensor
) -> Tensor:
    """Return the same sum where no gradient is wanted."""
    total = bias_V.new_zeros(())
    num_rows = chunk_rows(len(bias_V), 4)
    for rows_RF, targets_R in zip(
        features_NF.split(num_rows), targets_N.split(num_rows), strict=True
    ):
        scores_RV = torch.nn.functional.linear(rows_RF, weight_VF, bias_V).float()
        total += torch.nn.functional.cross_entropy(scores_RV, targets_R, reduction="sum")
    return total
