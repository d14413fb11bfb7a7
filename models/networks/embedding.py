"""Token vectors, whole words of which may be dropped while training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refrain.models.networks.dropout import dropout_mask


class TokenEmbedding(nn.Module):
    """A vector of width E for each token of the vocabulary V, drawn from U(-0.1, 0.1).

    With `dropout`, a share of the vocabulary is zeroed for a whole window (Merity et al. 2018, section 4.3).
    """

    def __init__(self, vocab_size: int, embedding_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(vocab_size, embedding_size).uniform_(-0.1, 0.1))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Look up token ids: vectors [B, T, E]."""
        vectors_BTE = nn.functional.embedding(tokens_BT, self.weight)
        if not self.training or self.dropout == 0:
            return vectors_BTE
        mask_V = dropout_mask(self.weight[:, 0], self.dropout)
        return vectors_BTE * mask_V[tokens_BT][:, :, None]
