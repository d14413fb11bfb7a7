"""Cross-entropy normalised over a sample of the vocabulary.

Shapes: N rows, F features, V vocabulary, C candidates (a part of the vocabulary).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from refrain.models.native.layer.softmax import softmax_errors
from refrain.training.optimize.cross_entropy.chunked import (
    chunked_cross_entropy,
)


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
