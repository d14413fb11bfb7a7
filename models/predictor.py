"""The face that every next-token model shows to the engine and to the evaluation."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from refrain.models.state import RecurrentState


class TokenPredictor(Protocol):
    """A model that reads tokens and says what may come next.

    A text starts from `zero_state` and the boundary token `<eos>`.
    """

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        ...

    def zero_state(self, num_rows: int) -> RecurrentState:
        """Memory of rows that have read nothing."""
        ...

    def read(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read T tokens in each row: features_BTF after each token, and the state after the last."""
        ...

    def logits(self, features_NF: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, float32 [N, V]."""
        ...
