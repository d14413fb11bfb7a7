"""Matrices of a cell as native products read them: gates in blocks of columns, rounded to 8 bits and packed.

Shapes: H units, K elements read, G = 4 gates of LSTM and GRU (1 of Elman), N columns.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.native.step.structures import Kind
from refrain.models.native.step.workspace import COLUMNS


def quantise(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to int8 with one scale a row: `weight = int8 * scale`."""
    scale_N = weight_NK.abs().amax(dim=1).clamp(min=1e-12) / 127
    return (weight_NK / scale_N[:, None]).round().clamp(-127, 127).to(torch.int8), scale_N


def gates_of(
    kind: Kind, weight: Tensor, bias: Tensor, *, from_input: bool
) -> tuple[Tensor, Tensor]:
    """Split a cell's matrix and bias to gates, [G, H, K] and [G, H].

    The candidate of a GRU needs the input's and the hidden state's share apart, so it has two gates, each of which one
    of the two leaves empty.
    """
    weight, bias = weight.detach().float(), bias.detach().float()
    num_gates = {Kind.ELMAN: 1, Kind.GRU: 3, Kind.LSTM: 4}[kind]
    weight_GHK = weight.view(num_gates, -1, weight.shape[1])
    bias_GH = bias.view(num_gates, -1)
    if kind is Kind.GRU:
        order = (0, 1, 2, 3) if from_input else (0, 1, 3, 2)
        weight_GHK = torch.cat((weight_GHK, torch.zeros_like(weight_GHK[:1])))[list(order)]
        bias_GH = torch.cat((bias_GH, torch.zeros_like(bias_GH[:1])))[list(order)]
    return weight_GHK, bias_GH


def blocks_of(gates_GHK: Tensor, size: int, kind: Kind) -> Tensor:
    """Order the gates of units in blocks of 64 columns, [N, K]: 16 units of each gate side by side."""
    num_gates, num_units, num_k = gates_GHK.shape
    padded = torch.zeros(num_gates, size, num_k)
    padded[:, :num_units] = gates_GHK
    if kind is Kind.ELMAN:
        return padded[0]
    return padded.view(num_gates, size // 16, 16, num_k).transpose(0, 1).reshape(-1, num_k)


def padded_rows(weight_NK: Tensor, num_rows: int) -> Tensor:
    """Add rows of zeros up to a number of rows."""
    padded = torch.zeros(num_rows, weight_NK.shape[1])
    padded[: len(weight_NK)] = weight_NK.detach()
    return padded


def padded_columns(weight_NK: Tensor, num_k: int) -> Tensor:
    """Add columns of zeros up to a number of columns."""
    padded = torch.zeros(len(weight_NK), num_k)
    padded[:, : weight_NK.shape[1]] = weight_NK
    return padded


def packed(quantised_NK: Tensor) -> NDArray[np.int8]:
    """Order a matrix as product.h reads it: [N / 64][K / 4][64][4]."""
    num_columns, num_k = quantised_NK.shape
    blocks = quantised_NK.view(num_columns // COLUMNS, COLUMNS, num_k // 4, 4)
    ordered: NDArray[np.int8] = blocks.transpose(1, 2).contiguous().numpy()
    return ordered
