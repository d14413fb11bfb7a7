"""Cross-entropy against the text and a teacher's probabilities at once.

Shapes: N rows, F features, G features of the teacher, V vocabulary, R rows of a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from refrain.training.optimize.cross_entropy.chunked import (
    accumulate,
    chunk_rows,
    softmax_error,
)


class Teacher(NamedTuple):
    """A teacher's predictions of the same rows: its features [N, G] and output layer [V, G], [V]; no gradient."""

    features_NG: Tensor
    weight_VG: Tensor
    bias_V: Tensor


def distilled_cross_entropy(
    features_NF: Tensor,
    weight_VF: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    teacher: Teacher,
    share: float,
) -> Tensor:
    """Return the summed cross-entropy in nats with the gradient of a mixture.

    The gradient is that of (1 - share) times the cross-entropy against the targets plus share times the cross-entropy
    against the teacher's probabilities. With one-hot target t, softmax p of the student and q of the teacher it is
    p - (1 - share) t - share q = (p - t) - share (q - t): the student's error less a share of the teacher's.
    """
    loss: Tensor = _DistilledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_NF, weight_VF, bias_V, targets_N, teacher, share
    )
    return loss


class _DistilledCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy with the gradients of the mixture, found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        features_NF: Tensor,
        weight_VF: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        teacher: Teacher,
        share: float,
    ) -> Tensor:
        num_rows, dtype = chunk_rows(len(bias_V), 2), features_NF.dtype
        student_VF, teacher_VG = weight_VF.to(dtype), teacher.weight_VG.to(dtype)
        total, bias_grad_V = bias_V.new_zeros(()), torch.zeros_like(bias_V)
        features_grads, weight_grad_VF = [], None
        chunks = (features_NF, teacher.features_NG.to(dtype), targets_N)
        for rows_RF, taught_RG, targets_R in zip(
            *(each.split(num_rows) for each in chunks), strict=True
        ):
            scores_RV = torch.mm(rows_RF, student_VF.t())
            losses_R, error_RV, bias_part_V = softmax_error(scores_RV, bias_V, targets_R)
            taught_RV = torch.mm(taught_RG, teacher_VG.t())
            _, taught_RV, taught_part_V = softmax_error(taught_RV, teacher.bias_V, targets_R)
            error_RV.sub_(taught_RV, alpha=share)
            total += losses_R.sum()
            bias_grad_V += bias_part_V - share * taught_part_V
            features_grads.append(torch.mm(error_RV, student_VF))
            part_VF = torch.mm(error_RV.t(), rows_RF)
            weight_grad_VF = accumulate(weight_grad_VF, part_VF, weight_VF.dtype)
        ctx.save_for_backward(torch.cat(features_grads), weight_grad_VF, bias_grad_V)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(saved * gradients[0] for saved in ctx.saved_tensors), None, None, None)
