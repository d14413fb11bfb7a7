"""Independent documents of like length side by side, cut to windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from refrain.training.data.batches.window import (
    IGNORED,
    Window,
)


class DocumentWindows:
    """Documents of like length side by side, each from a zero state: how independent texts are served.

    Every document is read as boundary, tokens and predicted as tokens, boundary. Documents longer than the
    window go on in the next one with the state carried over.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[int]],
        *,
        eos_id: int,
        batch_size: int,
        window: int,
        seed: int | None = None,
    ) -> None:
        self._documents = [np.array([eos_id, *document, eos_id]) for document in documents]
        self._batch_size = batch_size
        self._eos_id = eos_id
        self._window = window
        self._seed = seed
        self._lengths = np.array([len(document) - 1 for document in self._documents])
        self.num_windows = sum(
            -(-int(self._lengths[batch].max()) // window) for batch in self._batches(0)
        )

    def _batches(self, number: int) -> list[np.ndarray]:
        """Group document numbers of like length; equal lengths in random order, batches shuffled."""
        if self._seed is None:
            order = np.argsort(self._lengths, kind="stable")
        else:
            random = np.random.default_rng((self._seed, number))
            order = np.lexsort((random.random(len(self._lengths)), self._lengths))
        batches = [
            order[start : start + self._batch_size]
            for start in range(0, len(order), self._batch_size)
        ]
        if self._seed is not None:
            batches = [batches[i] for i in random.permutation(len(batches))]
        return batches

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch; without a seed, documents in order of length."""
        for batch in self._batches(number):
            length = int(self._lengths[batch].max())
            ids = np.full((len(batch), length + 1), IGNORED)
            for row, index in enumerate(batch):
                ids[row, : len(self._documents[index])] = self._documents[index]
            tokens = torch.from_numpy(ids)
            inputs, targets = tokens[:, :-1].clamp(min=0), tokens[:, 1:]
            for start in range(0, length, self._window):
                piece = slice(start, start + self._window)
                starts = torch.full((len(batch),), start == 0)
                yield Window(inputs[:, piece], targets[:, piece], starts)
