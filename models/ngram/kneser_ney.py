"""Interpolated modified Kneser-Ney: the n-gram model that every neural one has to beat.

Shapes: B rows, T times, W = order - 1 tokens of history, N any number of rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from refrain.models.config import NGramConfig
from refrain.models.errors import CheckpointError, StateError
from refrain.models.ngram.counts import Ints, Progress, count_ngrams
from refrain.models.ngram.discounts import Floats, are_discounts, estimate_discounts
from refrain.models.ngram.smoothing import NGramSmoothing
from refrain.models.ngram.trie import NGramTrie
from refrain.models.state import LayerShape, RecurrentState

NOTHING = -1


class KneserNeyModel:
    """An n-gram model with the face of a recurrent one: its state is the last W tokens.

    The boundary at the beginning of a history is the beginning of a text, and as a predicted token
    its end. A history reaches back to the last boundary at most. `refrain.models.ngram.smoothing` has the
    equations.
    """

    def __init__(self, config: NGramConfig, smoothing: NGramSmoothing) -> None:
        self.config = config
        self._smoothing = smoothing

    @classmethod
    def estimate(
        cls,
        documents: Iterable[Sequence[int]],
        config: NGramConfig,
        progress: Progress | None = None,
    ) -> KneserNeyModel:
        """Count a corpus and estimate the discounts.

        Parameters
        ----------
        documents
            Token ids of each document, without the boundary. One may be empty.
        progress
            Called after each length with the length and the number of different n-grams.

        Raises
        ------
        ConfigError
            If a token id lies outside the vocabulary.
        """
        ngrams = count_ngrams(documents, config, progress)
        discounts = np.stack([estimate_discounts(counts) for counts in ngrams.counts])
        return cls(config, NGramSmoothing(NGramTrie(config.vocab_size, ngrams), discounts))

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        return self.config.vocab_size

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """Number of different n-grams of each length, from 1 to the order."""
        return self._smoothing.trie.num_ngrams

    @property
    def state_shapes(self) -> tuple[LayerShape, ...]:
        """What the model remembers of a row: its last W tokens."""
        return (LayerShape(1, self.config.order - 1, torch.int64),)

    def zero_state(self, num_rows: int) -> RecurrentState:
        """Memory of rows that have read nothing: W times -1."""
        return RecurrentState((torch.full((1, num_rows, self.config.order - 1), NOTHING),))

    def read(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read T tokens in each row.

        Returns
        -------
        features_BTW
            int64, the history after each token, with -1 for what lies before the last boundary.
        state
            The history after the last token.
        """
        recent = torch.cat((state.layers[0][0], tokens_BT), dim=1)
        windows = recent.unfold(1, self.config.order - 1, 1)
        is_boundary = windows == self.config.eos_id
        boundaries_from_here = is_boundary.flip(2).cumsum(2).flip(2)
        histories = windows.masked_fill(boundaries_from_here > is_boundary, NOTHING)
        return histories[:, 1:], RecurrentState((histories[None, :, -1].clone(),))

    def logits(self, features_NW: Tensor) -> Tensor:
        """Log-probabilities of the token after each history, float32 [N, V]; they sum to one.

        Raises
        ------
        StateError
            If a history has another length than W or holds a token outside the vocabulary.
        """
        histories, size = features_NW.cpu().numpy(), self.config.order - 1
        if histories.shape[1] != size:
            raise StateError(f"a history of this model has {size} tokens, not {histories.shape[1]}")
        self._require_tokens(histories, lowest=NOTHING)
        paths = self._smoothing.trie.paths(histories, size)
        log_probs_NV = np.empty((len(histories), self.vocab_size), dtype=np.float32)
        for row, log_probs_V in enumerate(log_probs_NV):
            contexts = [int(nodes[row, -1]) for nodes in paths]
            np.log(self._smoothing.distribution(contexts), out=log_probs_V, casting="same_kind")
        return torch.from_numpy(log_probs_NV).to(features_NW.device)

    def target_log_probs(self, tokens: Ints) -> Floats:
        """Return the natural log-probability of each token after those before it.

        Parameters
        ----------
        tokens
            Token ids [T], boundaries included. The first is only read, so a text starts with the
            boundary; several texts may stand one behind the other with a boundary between.

        Returns
        -------
        ndarray
            float64 [T - 1]: that of `tokens[1]`, `tokens[2]`, ...

        Raises
        ------
        StateError
            If a token lies outside the vocabulary.
        """
        tokens = np.asarray(tokens, dtype=np.int64)
        self._require_tokens(tokens, lowest=0)
        return np.log(self._smoothing.probabilities(tokens))

    def _require_tokens(self, tokens: Ints, *, lowest: int) -> None:
        if tokens.size and (tokens.min() < lowest or tokens.max() >= self.vocab_size):
            raise StateError(
                f"token ids {tokens.min()} .. {tokens.max()} do not fit a vocabulary of "
                f"{self.vocab_size}: encode the text with this model's tokenizer"
            )

    def tensors(self) -> dict[str, Tensor]:
        """Return the tables that `from_tensors` takes; they share memory with the model.

        `keys_n` int64 and `counts_n` int32 for the n-grams of each length n (`refrain.models.ngram.trie`),
        and `discounts` float64 [order, 3]. All else follows from them.
        """
        discounts = torch.from_numpy(self._smoothing.discounts)
        return {**self._smoothing.trie.tensors(), "discounts": discounts}

    @classmethod
    def from_tensors(cls, config: NGramConfig, tensors: Mapping[str, Tensor]) -> KneserNeyModel:
        """Make a model of the tables that `tensors` gave.

        Raises
        ------
        CheckpointError
            For a table that is missing, unknown, of another type or shape, or with impossible
            values.
        """
        discounts = tensors.get("discounts", torch.empty(0)).cpu()
        if discounts.dtype != torch.float64 or discounts.shape != (config.order, 3):
            raise CheckpointError(f"tensor discounts must be float64 [{config.order}, 3]")
        if not are_discounts(discounts.numpy()):
            raise CheckpointError("tensor discounts must lie above 0 and up to 1, 2 and 3")
        tables = {name: table for name, table in tensors.items() if name != "discounts"}
        trie = NGramTrie.from_tensors(config.vocab_size, config.order, tables)
        return cls(config, NGramSmoothing(trie, discounts.numpy()))
