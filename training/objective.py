"""What a run minimises and how it is validated: one class a task, the same face for the loop.

Shapes: B rows, T times, F features, V vocabulary, N kept targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.classifier import Classifier
from models.language_model import LanguageModel
from models.state import RecurrentState
from training.batches import IGNORED, LabelledBatch, LabelledBatches, Window, WindowSource
from training.cross_entropy import chunked_cross_entropy


class Objective(Protocol):
    """A model, its batches, its loss, and its validation figure."""

    state: RecurrentState | None
    num_windows: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def epoch(self, number: int) -> Iterator[Any]:
        """Give the batches of an epoch."""
        ...

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Give the mean loss of a batch and the number of tokens that it read."""
        ...

    def validate(self) -> dict[str, float]:
        """Measure on the validation split; "score" is what to keep the best of (lower is better)."""
        ...


class LanguageModelObjective:
    """Next-token cross-entropy by truncated backpropagation through time, the state carried over."""

    def __init__(
        self,
        model: LanguageModel,
        train: WindowSource,
        validation: WindowSource,
        device: torch.device,
    ) -> None:
        self._model = model
        self.state: RecurrentState | None = None
        self.num_windows = train.num_windows
        self._train = train
        self._validation = validation
        self._device = device

    @property
    def model(self) -> LanguageModel:
        """What is trained."""
        return self._model

    def epoch(self, number: int) -> Iterator[Window]:
        """Give the windows of an epoch."""
        return self._train.epoch(number)

    def loss(self, batch: Window) -> tuple[Tensor, int]:
        """Read one window on from the state that the last one left."""
        total, num_targets, state = window_loss(self._model, batch, self.state, self._device)
        self.state = state.detach()
        return total / num_targets, num_targets

    def validate(self) -> dict[str, float]:
        """Measure perplexity, each text as the corpus wants it read."""
        loss = mean_loss(self._model, self._validation, self._device)
        return {"perplexity": math.exp(min(loss, 50)), "loss": loss, "score": loss}


def window_loss(
    model: LanguageModel, window: Window, state: RecurrentState | None, device: torch.device
) -> tuple[Tensor, int, RecurrentState]:
    """Give the summed cross-entropy in nats of a window's targets, their number, and the state after it."""
    tokens_BT = window.inputs_BT.to(device)
    if state is None or state.num_rows != len(tokens_BT):
        state = model.zero_state(len(tokens_BT))
    state = state.clear(window.starts_B.to(device))
    features_BTF, state = model.read(tokens_BT, state)
    kept_BT = window.targets_BT != IGNORED
    targets_N = window.targets_BT[kept_BT].to(device)
    total = chunked_cross_entropy(
        features_BTF[kept_BT.to(device)], model.output_matrix, model.output_bias, targets_N
    )
    return total, len(targets_N), state


@torch.no_grad()
def mean_loss(model: LanguageModel, windows: WindowSource, device: torch.device) -> float:
    """Give the mean cross-entropy in nats over all targets of an unshuffled epoch."""
    was_training = model.training
    model.eval()
    total, num_targets = 0.0, 0
    state: RecurrentState | None = None
    for window in windows.epoch(0):
        loss, number, state = window_loss(model, window, state, device)
        total, num_targets = total + loss.item(), num_targets + number
    model.train(was_training)
    return total / num_targets


class ClassifierObjective:
    """Cross-entropy of the label of each text."""

    def __init__(
        self,
        model: Classifier,
        train: LabelledBatches,
        validation: LabelledBatches,
        device: torch.device,
    ) -> None:
        self._model = model
        self.state: RecurrentState | None = None
        self.num_windows = train.num_windows
        self._train = train
        self._validation = validation
        self._device = device

    @property
    def model(self) -> Classifier:
        """What is trained."""
        return self._model

    def epoch(self, number: int) -> Iterator[LabelledBatch]:
        """Give the batches of an epoch."""
        return self._train.epoch(number)

    def loss(self, batch: LabelledBatch) -> tuple[Tensor, int]:
        """Read one batch of texts."""
        logits_BK = self._model(batch.tokens_BT.to(self._device), batch.lengths_B.to(self._device))
        loss = nn.functional.cross_entropy(logits_BK.float(), batch.labels_B.to(self._device))
        return loss, int(batch.lengths_B.sum())

    def validate(self) -> dict[str, float]:
        """Measure accuracy."""
        probabilities_NK, labels_N = predict(self._model, self._validation, self._device)
        accuracy = (probabilities_NK.argmax(1) == labels_N).float().mean().item()
        return {"accuracy": accuracy, "score": 1 - accuracy}


@torch.no_grad()
def predict(
    model: Classifier, batches: LabelledBatches, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Give the class probabilities [N, K] and the true labels [N] of an unshuffled epoch."""
    was_training = model.training
    model.eval()
    probabilities, labels = [], []
    for batch in batches.epoch(0):
        logits_BK = model(batch.tokens_BT.to(device), batch.lengths_B.to(device))
        probabilities.append(logits_BK.float().softmax(1).cpu())
        labels.append(batch.labels_B)
    model.train(was_training)
    return torch.cat(probabilities), torch.cat(labels)
