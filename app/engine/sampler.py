"""Logits to tokens: every row by its own parameters and its own uniform number.

Shapes: N rows that write, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from app.engine.sequence import SamplingParams, Sequence
from app.engine.uniform import uniform

NEVER = float("-inf")


def sample(logits_NV: Tensor, sequences: list[Sequence], boundary_id: int) -> list[int]:
    """Choose one token a row.

    Each row depends on its own logits, parameters, seed and position alone, never on its neighbours.
    """
    scores_NV = logits_NV.clone()
    for row, sequence in enumerate(sequences):
        _constrain(scores_NV[row], sequence, boundary_id)
    temperatures_N = torch.tensor([_params(s).temperature for s in sequences])
    greedy_N = scores_NV.argmax(dim=1)
    if not temperatures_N.any():
        return [int(token) for token in greedy_N]
    scores_NV /= torch.where(temperatures_N > 0, temperatures_N, 1.0)[:, None]
    _filter_top_k(scores_NV, torch.tensor([_params(s).top_k for s in sequences]))
    probabilities_NV = scores_NV.softmax(dim=1)
    _filter_min_p(probabilities_NV, torch.tensor([_params(s).min_p for s in sequences]))
    _filter_top_p(probabilities_NV, torch.tensor([_params(s).top_p for s in sequences]))
    drawn_N = _draw(probabilities_NV, [uniform(_params(s).seed, s.num_written) for s in sequences])
    return [int(token) for token in torch.where(temperatures_N > 0, drawn_N, greedy_N)]


def _params(sequence: Sequence) -> SamplingParams:
    assert sequence.params is not None
    return sequence.params


def _constrain(scores_V: Tensor, sequence: Sequence, boundary_id: int) -> None:
    params = _params(sequence)
    if params.repetition_penalty != 1:
        seen = torch.tensor(sorted(set(sequence.tokens[1:])), dtype=torch.int64)
        values = scores_V[seen]
        penalty = params.repetition_penalty
        scores_V[seen] = torch.where(values > 0, values / penalty, values * penalty)
    banned: Iterable[int] = params.banned
    if params.ignore_eos:
        banned = [*banned, boundary_id]
    for token_id in banned:
        scores_V[token_id] = NEVER


def _filter_top_k(scores_NV: Tensor, top_k_N: Tensor) -> None:
    """Keep the k likeliest of each row, and those equal to the k-th."""
    rows = top_k_N.nonzero().flatten()
    if not len(rows):
        return
    largest = min(int(top_k_N.max()), scores_NV.shape[1])
    top_RK = scores_NV[rows].topk(largest, dim=1).values
    kth_R1 = top_RK.gather(1, (top_k_N[rows].clamp(max=largest) - 1)[:, None])
    scores_NV[rows] = scores_NV[rows].masked_fill(scores_NV[rows] < kth_R1, NEVER)


def _filter_min_p(probabilities_NV: Tensor, min_p_N: Tensor) -> None:
    if min_p_N.any():
        floor_N1 = probabilities_NV.amax(dim=1, keepdim=True) * min_p_N[:, None]
        probabilities_NV.masked_fill_(probabilities_NV < floor_N1, 0)


def _filter_top_p(probabilities_NV: Tensor, top_p_N: Tensor) -> None:
    """Keep the likeliest tokens whose predecessors hold less than p of what is left; always one at least."""
    rows = (top_p_N < 1).nonzero().flatten()
    if not len(rows):
        return
    sorted_RV, order_RV = probabilities_NV[rows].sort(dim=1, descending=True, stable=True)
    before_RV = sorted_RV.cumsum(dim=1) - sorted_RV
    limit_R1 = top_p_N[rows][:, None] * sorted_RV.sum(dim=1, keepdim=True)
    dropped_RV = before_RV >= limit_R1
    dropped_RV[:, 0] = False
    sorted_RV.masked_fill_(dropped_RV, 0)
    probabilities_NV[rows] = torch.zeros_like(sorted_RV).scatter_(1, order_RV, sorted_RV)


def _draw(probabilities_NV: Tensor, uniforms: list[float]) -> Tensor:
    """Invert the cumulative distribution at one uniform number a row; a token of probability 0 is never drawn."""
    cumulative_NV = probabilities_NV.double().cumsum(dim=1)
    points_N1 = torch.tensor(uniforms, dtype=torch.float64)[:, None] * cumulative_NV[:, -1:]
    drawn_N = torch.searchsorted(cumulative_NV, points_N1, right=True).squeeze(1)
    last_N = (probabilities_NV > 0).double().cumsum(dim=1).argmax(dim=1)
    return torch.minimum(drawn_N, last_N)
