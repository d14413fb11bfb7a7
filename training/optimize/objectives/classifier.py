"""The label of a text.

Shapes: B rows, T times, K classes, N examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from refrain.models.networks.classifier import Classifier
from refrain.models.state import RecurrentState
from refrain.training.data.batches.labelled_batches import LabelledBatch, LabelledBatches
from refrain.training.optimize.objectives.objective import BatchLoss


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
        """Yield the batches of an epoch."""
        return self._train.epoch(number)

    def loss(self, batch: LabelledBatch) -> BatchLoss:
        """Read one batch of texts."""
        logits_BK = self._model(batch.tokens_BT.to(self._device), batch.lengths_B.to(self._device))
        loss = nn.functional.cross_entropy(logits_BK.float(), batch.labels_B.to(self._device))
        return BatchLoss(loss, loss.item(), int(batch.lengths_B.sum()))

    def validate(self) -> dict[str, float]:
        """Measure accuracy."""
        probabilities_NK, labels_N = predict(self._model, self._validation.epoch(0), self._device)
        accuracy = (probabilities_NK.argmax(1) == labels_N).float().mean().item()
        return {"accuracy": accuracy, "score": 1 - accuracy}


@torch.no_grad()
def predict(
    model: Classifier, batches: Iterable[LabelledBatch], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the class probabilities [N, K] and the true labels [N] of batches."""
    was_training = model.training
    model.eval()
    probabilities, labels = [], []
    for batch in batches:
        logits_BK = model(batch.tokens_BT.to(device), batch.lengths_B.to(device))
        probabilities.append(logits_BK.float().softmax(1).cpu())
        labels.append(batch.labels_B)
    model.train(was_training)
    return torch.cat(probabilities), torch.cat(labels)
