"""A trained model that a student learns from.

Shapes: B rows, T times, G features of the teacher.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches.window import Window
from refrain.training.optimize.cross_entropy.distilled import Teacher
from refrain.training.optimize.objectives.window_loss import (
    kept_rows,
    window_start,
)


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

    def read_no_rows(self) -> None:
        """Keep the state of no rows, as the student does."""
        self.state = self._model.zero_state(0)

    @torch.no_grad()
    def read(self, window: Window, kept_BT: Tensor) -> Teacher:
        """Read a window on, and return the predictions of the targets that are kept."""
        model = self._model
        tokens_BT, state = window_start(model, window, self.state, self._device)
        features_BTG, self.state = model.read(tokens_BT, state)
        return Teacher(kept_rows(features_BTG, kept_BT), model.output_matrix, model.output_bias)
