"""Cross-entropy of a large vocabulary, with its gradient found on the way forward.

Shapes: N rows, F features, V vocabulary, C candidates (a part of the vocabulary), R rows of a chunk.

The logits of all rows at once are the largest thing of a training step: at 3,000 rows and 25,000 words 300 MB in
float32, written and read several times by the plain way. Here a chunk of them becomes the loss's gradient where it
stands, and is multiplied on. In bfloat16 on the processor that is one pass of `refrain.models.native.layer.layer`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from refrain.models.native.layer.layer import softmax_errors

CHUNK_ELEMENTS = 64_000_000
"""Logits computed at once: 128 MB in bfloat16."""


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
        num_rows = max(1, CHUNK_ELEMENTS // len(bias_V))
        weight_in_type_VF = weight_VF.to(features_NF.dtype)
        total = bias_V.new_zeros(())
        bias_grad_V = torch.zeros_like(bias_V)
        features_grads, weight_grad_VF = [], None
        for rows_RF, targets_R in zip(
            features_NF.split(num_rows), targets_N.split(num_rows), strict=True
        ):
            scores_RV = torch.mm(rows_RF, weight_in_type_VF.t())
            losses_R, error_RV, bias_part_V = _errors(scores_RV, bias_V, targets_R)
            total += losses_R.sum()
            bias_grad_V += bias_part_V
            features_grads.append(torch.mm(error_RV, weight_in_type_VF))
            part_VF = torch.mm(error_RV.t(), rows_RF)
            weight_grad_VF = _added(weight_grad_VF, part_VF, weight_VF.dtype)
        ctx.save_for_backward(torch.cat(features_grads), weight_grad_VF, bias_grad_V)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(saved * gradients[0] for saved in ctx.saved_tensors), None)


class Teacher(NamedTuple):
    """What a teacher says of the same rows: its features [N, G] and output layer [V, G], [V]; no gradient."""

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
        num_rows = max(1, CHUNK_ELEMENTS // 2 // len(bias_V))
        own, others = weight_VF.to(features_NF.dtype), teacher.weight_VG.to(features_NF.dtype)
        total = bias_V.new_zeros(())
        bias_grad_V = torch.zeros_like(bias_V)
        features_grads, weight_grad_VF = [], None
        for rows_RF, taught_RG, targets_R in zip(
            features_NF.split(num_rows),
            teacher.features_NG.to(features_NF.dtype).split(num_rows),
            targets_N.split(num_rows),
            strict=True,
        ):
            losses_R, error_RV, bias_part_V = _errors(torch.mm(rows_RF, own.t()), bias_V, targets_R)
            _, taught_RV, taught_part_V = _errors(
                torch.mm(taught_RG, others.t()), teacher.bias_V, targets_R
            )
            error_RV.sub_(taught_RV, alpha=share)
            total += losses_R.sum()
            bias_grad_V += bias_part_V - share * taught_part_V
            features_grads.append(torch.mm(error_RV, own))
            part_VF = torch.mm(error_RV.t(), rows_RF)
            weight_grad_VF = _added(weight_grad_VF, part_VF, weight_VF.dtype)
        ctx.save_for_backward(torch.cat(features_grads), weight_grad_VF, bias_grad_V)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(saved * gradients[0] for saved in ctx.saved_tensors), None, None, None)


def _added(total: Tensor | None, part: Tensor, dtype: torch.dtype) -> Tensor:
    """Add a part to a total of a type, in place, or begin one."""
    return part.to(dtype) if total is None else total.add_(part)


def _errors(scores_RV: Tensor, bias_V: Tensor, targets_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
    num_rows = max(1, CHUNK_ELEMENTS // 4 // len(bias_V))
    for rows_RF, targets_R in zip(
        features_NF.split(num_rows), targets_N.split(num_rows), strict=True
    ):
        scores_RV = torch.nn.functional.linear(rows_RF, weight_VF, bias_V).float()
        total += torch.nn.functional.cross_entropy(scores_RV, targets_R, reduction="sum")
    return total


def sampled_cross_entropy(
    features_NF: Tensor,
    weight_VF: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    *,
    num_frequent: int,
    num_sampled: int,
) -> Tensor:
    """Estimate `chunked_cross_entropy` from a part of the vocabulary: for training, never to be reported.

    The sum over the vocabulary that normalises a row is taken over the first `num_frequent` words exactly and over
    `num_sampled` of the others, drawn without replacement for each call and weighted by the inverse of their share;
    the row's own target counts exactly, once. So the sum is unbiased (stratified sampling; compare the importance
    sampling of Bengio & Senecal 2008). Words must be numbered by falling frequency, as tokenizers do.
    """
    num_rare = len(bias_V) - num_frequent
    if num_rare <= num_sampled:
        return chunked_cross_entropy(features_NF, weight_VF, bias_V, targets_N)
    drawn = torch.randperm(num_rare)[:num_sampled].sort().values + num_frequent
    candidates_C = torch.cat((torch.arange(num_frequent), drawn)).to(targets_N.device)
    correction_C = bias_V.new_zeros(len(candidates_C))
    correction_C[num_frequent:] = torch.tensor(num_rare / num_sampled).log()
    loss: Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_NF, weight_VF, bias_V, targets_N, candidates_C, correction_C
    )
    return loss


class _SampledCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy over candidates and each row's target, with the gradients found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        features_NF: Tensor,
        weight_VF: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        candidates_C: Tensor,
        correction_C: Tensor,
    ) -> Tensor:
        dtype = features_NF.dtype
        column_V = targets_N.new_full((len(bias_V),), -1)
        column_V[candidates_C] = torch.arange(len(candidates_C), device=targets_N.device)
        chosen_CF = weight_VF[candidates_C].to(dtype)
        own_NF = weight_VF[targets_N].to(dtype)
        own_N = (features_NF.float() * own_NF.float()).sum(1) + bias_V[targets_N]
        losses_N, error_NC, bias_grad_C, own_error_N = _sampled_errors(
            torch.mm(features_NF, chosen_CF.t()),
            (bias_V[candidates_C] + correction_C).detach(),
            column_V[targets_N],
            own_N.detach().clone(),
        )
        features_grad_NF = torch.mm(error_NC, chosen_CF) + (own_error_N[:, None] * own_NF).to(dtype)
        weight_grad_VF = torch.zeros_like(weight_VF)
        weight_grad_VF[candidates_C] = torch.mm(error_NC.t(), features_NF).float()
        weight_grad_VF.index_add_(0, targets_N, own_error_N[:, None] * features_NF)
        bias_grad_V = torch.zeros_like(bias_V)
        bias_grad_V[candidates_C] = bias_grad_C
        bias_grad_V.index_add_(0, targets_N, own_error_N)
        ctx.save_for_backward(features_grad_NF, weight_grad_VF, bias_grad_V)
        return losses_N.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (*(saved * gradients[0] for saved in ctx.saved_tensors), None, None, None)


def _sampled_errors(
    scores_NC: Tensor, bias_C: Tensor, columns_N: Tensor, own_N: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return losses, errors of the columns, their sum over rows, and errors of the targets, which stand apart."""
    if scores_NC.dtype == torch.bfloat16 and scores_NC.device.type == "cpu":
        losses_N, bias_grad_C = softmax_errors(scores_NC, bias_C, columns_N, own_N)
        return losses_N, scores_NC, bias_grad_C, own_N
    error_NC = scores_NC.float().add_(bias_C)
    rows = (columns_N >= 0).nonzero().squeeze(1)
    error_NC[rows, columns_N[rows]] = -torch.inf
    log_total_N = torch.logaddexp(error_NC.logsumexp(dim=1), own_N)
    error_NC = error_NC.sub_(log_total_N[:, None]).exp_()
    own_error_N = (own_N - log_total_N).exp() - 1
    return log_total_N - own_N, error_NC.to(scores_NC.dtype), error_NC.sum(dim=0), own_error_N
