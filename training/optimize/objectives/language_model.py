"""Next-token prediction.

Shapes: B rows, T times, F features, V vocabulary, N kept targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches.window import IGNORED, Window, WindowSource
from refrain.training.optimize.cross_entropy.chunked import chunked_cross_entropy
from refrain.training.optimize.cross_entropy.distilled import distilled_cross_entropy
from refrain.training.optimize.cross_entropy.sampled import sampled_cross_entropy
from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.optimize.objectives.objective import BatchLoss
from refrain.training.optimize.objectives.teacher import TeacherReader
from refrain.training.optimize.objectives.window_loss import (
    kept_rows,
    summed_loss,
    window_start,
)
from refrain.training.recipe.optimizer import OptimizerRecipe


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
        world: World = SINGLE_PROCESS,
    ) -> None:
        self._model = model
        self._world = world
        self._student_state: RecurrentState | None = None
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
        if self._student_state is None or self._teacher is None or self._teacher.state is None:
            return self._student_state
        return RecurrentState((*self._student_state.layers, *self._teacher.state.layers))

    @state.setter
    def state(self, state: RecurrentState | None) -> None:
        if state is None or self._teacher is None:
            self._student_state = state
            return
        num_layers = len(self._model.stack.state_shapes)
        self._student_state = RecurrentState(state.layers[:num_layers])
        self._teacher.state = RecurrentState(state.layers[num_layers:])

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch."""
        return self._train.epoch(number)

    def loss(self, batch: Window) -> BatchLoss:
        """Read one window on from the state that the last one left."""
        model = self._model
        if not len(batch.inputs_BT):
            return self._no_rows(batch)
        tokens_BT, state = window_start(model, batch, self._student_state, self._device)
        hidden_BTF, state = model.read_undropped(tokens_BT, state)
        self._student_state = state.detach()
        features_BTF = model.drop_output(hidden_BTF)
        kept_BT = batch.targets_BT != IGNORED
        targets_N = batch.targets_BT[kept_BT].to(self._device)
        total = self._summed(kept_rows(features_BTF, kept_BT), targets_N, batch, kept_BT)
        mean = total / max(1, len(targets_N)) * batch.target_share
        minimised = mean * tokens_BT.shape[1] if self._recipe.kind == "sgd" else mean
        minimised = self._penalised(minimised, hidden_BTF, features_BTF, batch.row_share)
        return BatchLoss(minimised, mean.item(), len(targets_N), self._rate(batch))

    def _summed(
        self, features_NF: Tensor, targets_N: Tensor, batch: Window, kept_BT: Tensor
    ) -> Tensor:
        """Return the summed cross-entropy against the text, and against the teacher if there is one."""
        model = self._model
        if self._teacher is None:
            return training_cross_entropy(model, features_NF, targets_N, self._recipe.num_sampled)
        return distilled_cross_entropy(
            features_NF,
            model.output_matrix,
            model.output_bias,
            targets_N,
            self._teacher.read(batch, kept_BT),
            self._teacher.share,
        )

    def _penalised(
        self, loss: Tensor, hidden_BTF: Tensor, features_BTF: Tensor, row_share: float
    ) -> Tensor:
        """Return the loss with the penalties of the activations and of their change in time."""
        recipe = self._recipe
        if recipe.activation_penalty:
            penalty = recipe.activation_penalty * row_share
            loss = loss + penalty * features_BTF.float().square().mean()
        if recipe.change_penalty and hidden_BTF.shape[1] > 1:
            change = hidden_BTF[:, 1:].float() - hidden_BTF[:, :-1].float()
            penalty = recipe.change_penalty * row_share
            loss = loss + penalty * change.square().mean()
        return loss

    def _rate(self, batch: Window) -> float:
        """Under SGD a gradient, summed over a window's times, grows with its length by itself."""
        return 1.0 if self._recipe.kind == "sgd" else batch.rate

    def _no_rows(self, batch: Window) -> BatchLoss:
        """Answer for a process that has no rows of a window."""
        self._student_state = self._model.zero_state(0)
        if self._teacher is not None:
            self._teacher.read_no_rows()
        return BatchLoss(0 * self._model.output_bias.sum(), 0.0, 0, self._rate(batch))

    def validate(self) -> dict[str, float]:
        """Measure perplexity, each text as the corpus wants it read."""
        total, num_targets = self._world.total(
            *summed_loss(self._model, self._validation.epoch(0), self._device)
        )
        loss = total / num_targets
        return {"perplexity": math.exp(min(loss, 50)), "loss": loss, "score": loss}


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
