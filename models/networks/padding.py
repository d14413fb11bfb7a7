"""Texts side by side for models that read them whole: the one way in training and in serving."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_texts(texts: Sequence[Sequence[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    """Pad texts: the boundary before each, padding behind: tokens_BT and lengths_B.

    The boundary gives an empty text something to read.
    """
    lengths_B = torch.tensor([len(text) + 1 for text in texts])
    tokens_BT = torch.full((len(texts), int(lengths_B.max())), eos_id)
    for row, text in enumerate(texts):
        tokens_BT[row, 1 : len(text) + 1] = torch.tensor(text, dtype=torch.int64)
    return tokens_BT, lengths_B
