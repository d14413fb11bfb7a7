"""Runs classifiers: a batch of whole texts at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.classifier import Classifier
from models.padding import pad_texts

MAX_BATCH = 32
"""Texts that a classifier reads together."""


@torch.inference_mode()
def class_probabilities(
    model: Classifier, texts: Sequence[Sequence[int]], boundary_id: int
) -> list[list[float]]:
    """Run one batch of texts, as token ids, through a classifier: probabilities [texts][classes]."""
    device = model.output.weight.device
    tokens_BT, lengths_B = pad_texts(texts, boundary_id)
    logits_BK = model(tokens_BT.to(device), lengths_B.to(device))
    rows: list[list[float]] = logits_BK.softmax(dim=1).tolist()
    return rows
