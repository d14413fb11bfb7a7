"""Slots: one row of recurrent state each, a sequence's whole memory, and the step that moves it."""

from __future__ import annotations

import torch
from torch import Tensor

from refrain.models.predictor import TokenPredictor
from refrain.models.state import RecurrentState


class StatePool:
    """A fixed number of slots and one spare row that fills up tiles."""

    def __init__(self, model: TokenPredictor, num_slots: int) -> None:
        self._model = model
        self._state = model.zero_state(num_slots + 1)
        self._zero = model.zero_state(1)
        self.device = self._state.layers[0].device
        self.spare = num_slots

    def clear(self, slots: list[int]) -> None:
        """Zero the states of slots."""
        rows = torch.tensor(slots, device=self.device)
        self._state.scatter(rows, self._zero.gather(torch.zeros_like(rows)))

    def read(self, slots: Tensor) -> RecurrentState:
        """Copy the states of slots (int64 [B])."""
        return self._state.gather(slots)

    def write(self, slots: Tensor, state: RecurrentState) -> None:
        """Write states back to their slots."""
        self._state.scatter(slots, state)

    def step(self, tokens_RT: Tensor, slots_R: Tensor) -> Tensor:
        """Read tokens into slots, one operation after another; return features_RTF."""
        slots_R = slots_R.to(self.device)
        features_RTF, state = self._model.read(tokens_RT.to(self.device), self.read(slots_R))
        self.write(slots_R, state)
        return features_RTF
