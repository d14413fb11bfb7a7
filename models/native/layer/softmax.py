"""The softmax of a large vocabulary with its gradient, in bfloat16.

Shapes: V vocabulary, R rows of scores.
"""

from __future__ import annotations

from ctypes import byref

import torch
from torch import Tensor

from refrain.models.native.layer.library import check_status, load_library
from refrain.models.native.layer.structures import SoftmaxStruct


def softmax_errors(
    scores_RV: Tensor, bias_V: Tensor, targets_R: Tensor, target_scores_R: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Replace bfloat16 scores, in place, by the softmax of scores + bias, less one at the target.

    With `target_scores_R` the targets stand beside the columns: their float32 scores become their errors in place, and
    a column that is the target (none where it is negative) counts for nothing.

    Returns
    -------
    losses_R, bias_grad_V
        The losses in nats, and the errors summed over the rows; float32.
    """
    num_rows, vocab_size = scores_RV.shape
    losses_R = torch.empty(num_rows)
    num_threads = torch.get_num_threads()
    bias_grads_PV = torch.zeros(max(1, min(num_rows, num_threads)), vocab_size)
    softmax = SoftmaxStruct(
        vocabulary=vocab_size,
        scores=scores_RV.data_ptr(),
        bias=bias_V.data_ptr(),
        targets=targets_R.data_ptr(),
        losses=losses_R.data_ptr(),
        bias_grads=bias_grads_PV.data_ptr(),
        apart=None if target_scores_R is None else target_scores_R.data_ptr(),
    )
    check_status(load_library().softmax_errors(byref(softmax), num_rows, num_threads))
    return losses_R, bias_grads_PV.sum(0)
