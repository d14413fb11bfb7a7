"""What a run minimises and how it is validated: one class a task, the same face for the loop.

Shapes: B rows, T times, F features, V vocabulary, N kept targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches import (
    IGNORED,
    LabelledBatch,
    LabelledBatches,
    Window,
    WindowSource,
)
from refrain.training.optimize.cross_entropy import (
    Teacher,
    chunked_cross_entropy,
    distilled_cross_entropy,
    sampled_cross_entropy,
)
from refrain.training.optimize.distributed import ALONE, Processes
from refrain.training.recipe import OptimizerRecipe


@dataclass(frozen=True)
class BatchLoss:
    """What a batch costs.

    Attributes
    ----------
    minimised
        What gradients are taken of.
    mean
        The mean cross-entropy in nats, to be shown (an estimate where the vocabulary was sampled).
        Where several processes share a window, this and what is minimised are parts, whose sum is that of the window.
    num_tokens
        Tokens read.
    rate
        What to multiply the learning rate with.
    """

    minimised: Tensor
    mean: float
    num_tokens: int
    rate: float = 1.0


class Objective(Protocol):
    """A model, its batches, its loss, and its validation figure."""

    state: RecurrentState | None
    num_windows: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def epoch(self, number: int) -> Iterator[Any]:
        """Yield the batches of an epoch."""
        ...

    def loss(self, batch: Any) -> BatchLoss:
        """Return the loss of a batch."""
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
        recipe: OptimizerRecipe,
        teacher: TeacherReader | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self._model = model
        self._processes = processes
        self._own_state: RecurrentState | None = None
        self._teacher = teacher
        self.num_windows = train.num_windows
        self._train = train
        self._validation = validation
        self._device = device
        self._recipe = recipe

    @property
    def model(self) -> LanguageModel:
        """What is trained."""
        return self._model

    @property
    def state(self) -> RecurrentState | None:
        """What the last window left: the model's state, and the teacher's behind it."""
        if self._own_state is None or self._teacher is None or self._teacher.state is None:
            return self._own_state
        return RecurrentState((*self._own_state.layers, *self._teacher.state.layers))

    @state.setter
    def state(self, state: RecurrentState | None) -> None:
        if state is None or self._teacher is None:
            self._own_state = state
            return
        num_own = len(self._model.stack.state_shapes)
        self._own_state = RecurrentState(state.layers[:num_own])
        self._teacher.state = RecurrentState(state.layers[num_own:])

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch."""
        return self._train.epoch(number)

    def loss(self, batch: Window) -> BatchLoss:
        """Read one window on from the state that the last one left."""
        recipe, model = self._recipe, self._model
        if not len(batch.inputs_BT):
            return self._no_rows(batch)
        tokens_BT, state = window_start(model, batch, self._own_state, self._device)
        hidden_BTF, state = model.read_undropped(tokens_BT, state)
        self._own_state = state.detach()
        features_BTF = model.drop_output(hidden_BTF)
        kept_BT = batch.targets_BT != IGNORED
        targets_N = batch.targets_BT[kept_BT].to(self._device)
        features_NF = kept_rows(features_BTF, kept_BT)
        if self._teacher is None:
            total = training_cross_entropy(model, features_NF, targets_N, recipe.num_sampled)
        else:
            total = distilled_cross_entropy(
                features_NF,
                model.output_matrix,
                model.output_bias,
                targets_N,
                self._teacher.read(batch, kept_BT),
                self._teacher.share,
            )
        mean = total / max(1, len(targets_N)) * batch.target_share
        minimised = mean * tokens_BT.shape[1] if recipe.kind == "sgd" else mean
        if recipe.activation_penalty:
            penalty = recipe.activation_penalty * batch.row_share
            minimised = minimised + penalty * features_BTF.float().square().mean()
        if recipe.change_penalty and tokens_BT.shape[1] > 1:
            change = hidden_BTF[:, 1:].float() - hidden_BTF[:, :-1].float()
            penalty = recipe.change_penalty * batch.row_share
            minimised = minimised + penalty * change.square().mean()
        return BatchLoss(minimised, mean.item(), len(targets_N), self._rate(batch))

    def _rate(self, batch: Window) -> float:
        """Under SGD a gradient, summed over a window's times, grows with its length by itself."""
        return 1.0 if self._recipe.kind == "sgd" else batch.rate

    def _no_rows(self, batch: Window) -> BatchLoss:
        """Answer for a process that has no rows of a window."""
        self._own_state = self._model.zero_state(0)
        if self._teacher is not None:
            self._teacher.have_no_rows()
        return BatchLoss(0 * self._model.output_bias.sum(), 0.0, 0, self._rate(batch))

    def validate(self) -> dict[str, float]:
        """Measure perplexity, each text as the corpus wants it read."""
        total, num_targets = self._processes.total(
            *summed_loss(self._model, self._validation.epoch(0), self._device)
        )
        loss = total / num_targets
        return {"perplexity": math.exp(min(loss, 50)), "loss": loss, "score": loss}


class TeacherReader:
    """A trained model that reads the same windows as its student.

    Attributes
    ----------
    share
        How much of the loss is the teacher's.
    state
        What the last window left.
    """

    def __init__(self, model: LanguageModel, share: float, device: torch.device) -> None:
        self._model = model.to(device).eval()
        self._device = device
        self.share = share
        self.state: RecurrentState | None = None

    def have_no_rows(self) -> None:
        """Keep the state of no rows, as the student does."""
        self.state = self._model.zero_state(0)

    @torch.no_grad()
    def read(self, window: Window, kept_BT: Tensor) -> Teacher:
        """Read a window on, and give what is said of the targets that are kept."""
        model = self._model
        tokens_BT, state = window_start(model, window, self.state, self._device)
        features_BTG, self.state = model.read(tokens_BT, state)
        return Teacher(kept_rows(features_BTG, kept_BT), model.output_matrix, model.output_bias)


def kept_rows(features_BTF: Tensor, kept_BT: Tensor) -> Tensor:
    """Return the features whose targets count, [N, F]: none are picked out where all do, which on CUDA would wait."""
    if kept_BT.all():
        return features_BTF.flatten(0, 1)
    return features_BTF[kept_BT.to(features_BTF.device)]


def training_cross_entropy(
    model: LanguageModel, features_NF: Tensor, targets_N: Tensor, num_sampled: int
) -> Tensor:
    """Return the summed cross-entropy, or its estimate from `num_sampled` words where those are fewer than all."""
    if not num_sampled:
        return chunked_cross_entropy(features_NF, model.output_matrix, model.output_bias, targets_N)
    return sampled_cross_entropy(
        features_NF,
        model.output_matrix,
        model.output_bias,
        targets_N,
        num_frequent=num_sampled * 3 // 4,
        num_sampled=num_sampled - num_sampled * 3 // 4,
    )


def window_start(
    model: LanguageModel, window: Window, state: RecurrentState | None, device: torch.device
) -> tuple[Tensor, RecurrentState]:
    """Return a window's tokens and the state before them: what the last window left, zero where a row begins."""
    tokens_BT = window.inputs_BT.to(device)
    if state is None or state.num_rows != len(tokens_BT):
        state = model.zero_state(len(tokens_BT))
    return tokens_BT, state.clear(window.starts_B.to(device))


def window_loss(
    model: LanguageModel, window: Window, state: RecurrentState | None, device: torch.device
) -> tuple[Tensor, int, RecurrentState]:
    """Return the summed cross-entropy in nats of a window's targets, their number, and the state after it."""
    tokens_BT, state = window_start(model, window, state, device)
    features_BTF, state = model.read(tokens_BT, state)
    kept_BT = window.targets_BT != IGNORED
    targets_N = window.targets_BT[kept_BT].to(device)
    total = chunked_cross_entropy(
        kept_rows(features_BTF, kept_BT), model.output_matrix, model.output_bias, targets_N
    )
    return total, len(targets_N), state


@torch.no_grad()
def summed_loss(
    model: LanguageModel, windows: Iterable[Window], device: torch.device
) -> tuple[float, int]:
    """Return the summed cross-entropy in nats over all targets of windows, and their number."""
    was_training = model.training
    model.eval()
    total, num_targets = 0.0, 0
    state: RecurrentState | None = None
    for window in windows:
        if not len(window.inputs_BT):
            continue
        loss, number, state = window_loss(model, window, state, device)
        total, num_targets = total + loss.item(), num_targets + number
    model.train(was_training)
    return total, num_targets


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
