"""What a model predicts by torch alone, in float32 and token by token, with nothing of the engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from refrain.models.checkpoint import Checkpoint
from refrain.models.networks.classifier import Classifier


@torch.no_grad()
def hidden_and_log_probs(checkpoint: Checkpoint, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Read a boundary and a text: features [N + 1, F], and what may follow each of its beginnings [N + 1, V]."""
    model = checkpoint.model
    assert not isinstance(model, Classifier)
    state, rows = model.zero_state(1), []
    for token_id in (checkpoint.tokenizer.eos_id, *ids):
        features_B1F, state = model.read(torch.tensor([[token_id]]), state)
        rows.append(features_B1F[0, 0])
    features_NF = torch.stack(rows)
    return features_NF, model.logits(features_NF).double().log_softmax(-1)


def log_probs_after(checkpoint: Checkpoint, ids: Sequence[int]) -> Tensor:
    """Return the log-probabilities of every token after a text, float64 [V]."""
    return hidden_and_log_probs(checkpoint, ids)[1][-1]


def target_log_probs(checkpoint: Checkpoint, ids: Sequence[int]) -> list[float]:
    """Return the log-probability of each token of a text after those before it."""
    log_probs_NV = hidden_and_log_probs(checkpoint, ids)[1]
    return [log_probs_NV[place, token_id].item() for place, token_id in enumerate(ids)]
