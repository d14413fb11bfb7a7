"""Tokens in, one label a text out.

Shapes: B rows, T times, E embedding, H outputs of the stack (both directions), P pooled, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from refrain.models.config import ClassifierConfig, Pooling
from refrain.models.networks.embedding import TokenEmbedding
from refrain.models.networks.padding import pad_texts
from refrain.models.networks.recurrent import BidirectionalStack, RecurrentStack, locked_dropout
from refrain.models.state import RecurrentState


class Classifier(nn.Module):
    """A recurrent network that reads a whole text and gives it a label."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(
            config.vocab_size, config.embedding_size, config.embedding_dropout
        )
        self.stack = BidirectionalStack(config) if config.bidirectional else RecurrentStack(config)
        num_outputs = config.layer_sizes[-1] * (2 if config.bidirectional else 1)
        num_pooled = num_outputs * (2 if config.pooling == "mean_max" else 1)
        self.output = nn.Linear(num_pooled, len(config.labels))

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the logits_BK of texts of `lengths_B` tokens, padded at their end with any token."""
        vectors_BTE = locked_dropout(
            self.embedding(tokens_BT), self.config.input_dropout, self.training
        )
        outputs_BTH = self._outputs(vectors_BTE, lengths_B)
        pooled_BP = pool(outputs_BTH, lengths_B, self.config.pooling, self.config.bidirectional)
        dropped_BP = nn.functional.dropout(pooled_BP, self.config.output_dropout, self.training)
        logits_BK: Tensor = self.output(dropped_BP)
        return logits_BK

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[Sequence[int]], eos_id: int) -> list[list[float]]:
        """Classify one batch of texts, as token ids: probabilities [texts][classes]."""
        device = self.output.weight.device
        tokens_BT, lengths_B = pad_texts(texts, eos_id)
        logits_BK = self(tokens_BT.to(device), lengths_B.to(device))
        rows: list[list[float]] = logits_BK.softmax(dim=1).tolist()
        return rows

    def _outputs(self, vectors_BTE: Tensor, lengths_B: Tensor) -> Tensor:
        if isinstance(self.stack, BidirectionalStack):
            both_BTH: Tensor = self.stack(vectors_BTE, lengths_B)
            return both_BTH
        state = RecurrentState.zeros(self.stack.state_shapes, len(vectors_BTE), vectors_BTE.device)
        outputs_BTH: Tensor = self.stack(vectors_BTE, state)[0]
        return outputs_BTH


def pool(outputs_BTH: Tensor, lengths_B: Tensor, pooling: Pooling, bidirectional: bool) -> Tensor:
    """Make one vector [B, P] of the first `length` outputs of each row.

    "last" takes what each direction gave when it had read the whole text: the forward half's output at the
    last token, the backward half's at the first.
    """
    times_T = torch.arange(outputs_BTH.shape[1], device=outputs_BTH.device)
    valid_BT1 = (times_T < lengths_B[:, None])[:, :, None]
    match pooling:
        case "last":
            last_BH = outputs_BTH[torch.arange(len(outputs_BTH)), lengths_B - 1]
            if not bidirectional:
                return last_BH
            half = outputs_BTH.shape[2] // 2
            return torch.cat((last_BH[:, :half], outputs_BTH[:, 0, half:]), dim=1)
        case "mean":
            return _mean(outputs_BTH, valid_BT1)
        case "max":
            return _maximum(outputs_BTH, valid_BT1)
        case "mean_max":
            return torch.cat((_mean(outputs_BTH, valid_BT1), _maximum(outputs_BTH, valid_BT1)), 1)


def _mean(outputs_BTH: Tensor, valid_BT1: Tensor) -> Tensor:
    return (outputs_BTH * valid_BT1).sum(dim=1) / valid_BT1.sum(dim=1)


def _maximum(outputs_BTH: Tensor, valid_BT1: Tensor) -> Tensor:
    return outputs_BTH.masked_fill(~valid_BT1, float("-inf")).amax(dim=1)
