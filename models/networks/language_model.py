"""Tokens in, the next token's logits and the state out.

Shapes: B rows, T times, E embedding, F features (width of the last layer), V vocabulary, N any number of rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refrain.models.config import LanguageModelConfig
from refrain.models.networks.embedding import TokenEmbedding
from refrain.models.networks.recurrent import RecurrentStack, locked_dropout
from refrain.models.state import RecurrentState


class LanguageModel(nn.Module):
    """A recurrent language model (Mikolov et al. 2010) with any cell of this project.

    Reading and predicting are two calls, `read` and `logits`, because most rows of a step need no logits.
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(
            config.vocab_size, config.embedding_size, config.embedding_dropout
        )
        self.stack = RecurrentStack(config)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        if not config.tied:
            self.output_weight = nn.Parameter(
                torch.empty(config.vocab_size, config.hidden_size).uniform_(-0.1, 0.1)
            )

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        return self.config.vocab_size

    @property
    def output_matrix(self) -> Tensor:
        """What features are multiplied with, [V, F]: the embedding where tied."""
        return self.embedding.weight if self.config.tied else self.output_weight

    def zero_state(self, num_rows: int) -> RecurrentState:
        """Memory of rows that have read nothing."""
        return RecurrentState.zeros(self.stack.state_shapes, num_rows, self.output_bias.device)

    def read(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read T tokens in each row: features_BTF after each, and the state after the last."""
        hidden_BTF, state = self.read_undropped(tokens_BT, state)
        return self.drop_output(hidden_BTF), state

    def read_undropped(
        self, tokens_BT: Tensor, state: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """Read as `read` does, but give the last layer's own output, before dropout."""
        vectors_BTE = locked_dropout(
            self.embedding(tokens_BT), self.config.input_dropout, self.training
        )
        hidden_BTF, state = self.stack(vectors_BTE, state)
        return hidden_BTF, state

    def drop_output(self, hidden_BTF: Tensor) -> Tensor:
        """Turn the last layer's output to what predictions are made of: with dropout while training."""
        return locked_dropout(hidden_BTF, self.config.output_dropout, self.training)

    def logits(self, features_NF: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, [N, V]."""
        return nn.functional.linear(features_NF, self.output_matrix, self.output_bias)

    def forward(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read and predict: logits_BTV of what follows each token, and the state after the last."""
        features_BTF, state = self.read(tokens_BT, state)
        return self.logits(features_BTF), state
