"""A language model with 16-bit weights and states: half the memory, for processors and GPUs that are good at it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState


class Bf16LanguageModel:
    """A copy of a language model in bfloat16; a `TokenPredictor`."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = copy.deepcopy(model).to(torch.bfloat16)

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        return self._model.vocab_size

    def zero_state(self, num_rows: int) -> RecurrentState:
        """Memory of rows that have read nothing."""
        layers = self._model.zero_state(num_rows).layers
        return RecurrentState(tuple(layer.to(torch.bfloat16) for layer in layers))

    def read(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read T tokens in each row: features_BTF after each token, and the state after the last."""
        return self._model.read(tokens_BT, state)

    def logits(self, features_NF: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, float32 [N, V]."""
        return self._model.logits(features_NF).float()
