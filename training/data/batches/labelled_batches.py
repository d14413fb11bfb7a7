"""Labelled texts of like length side by side.

Shapes: B rows, T times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from refrain.models.networks.padding import pad_texts


@dataclass(frozen=True)
class LabelledBatch:
    """Texts padded at their end, their lengths and labels."""

    tokens_BT: Tensor
    lengths_B: Tensor
    labels_B: Tensor

    @property
    def num_tokens(self) -> int:
        """Tokens of its texts."""
        return int(self.lengths_B.sum())


class LabelledBatches:
    """Labelled texts of like length side by side."""

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        labels: Sequence[int],
        *,
        batch_size: int,
        eos_id: int,
        max_length: int,
        seed: int | None = None,
    ) -> None:
        self._texts = [text[:max_length] for text in texts]
        self._eos_id = eos_id
        self._labels = np.array(labels)
        self._lengths = np.array([len(text) for text in self._texts])
        self._batch_size = batch_size
        self._seed = seed
        self.num_windows = -(-len(self._texts) // batch_size)

    def epoch(self, number: int) -> Iterator[LabelledBatch]:
        """Yield the batches of an epoch; without a seed, in order of length."""
        size = self._batch_size
        if self._seed is None:
            order = np.argsort(self._lengths, kind="stable")
            batches = [order[i : i + size] for i in range(0, len(order), size)]
        else:
            random = np.random.default_rng((self._seed, number))
            noisy = self._lengths * random.uniform(0.9, 1.1, len(self._lengths))
            order = np.argsort(noisy, kind="stable")
            batches = [order[i : i + size] for i in range(0, len(order), size)]
            batches = [batches[i] for i in random.permutation(len(batches))]
        for batch in batches:
            yield self._collate(batch)

    def _collate(self, batch: np.ndarray) -> LabelledBatch:
        tokens_BT, lengths_B = pad_texts([self._texts[i] for i in batch], self._eos_id)
        return LabelledBatch(tokens_BT, lengths_B, torch.from_numpy(self._labels[batch]))
