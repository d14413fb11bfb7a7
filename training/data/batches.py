"""Token ids to windows: rectangles of inputs and targets.

Shapes: B rows, T times (at most the recipe's window).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.networks.padding import pad_texts

TokenStream = NDArray[np.integer]
"""Token ids with a boundary at both ends and between documents, perhaps mapped from a file."""

IGNORED = -100
"""Target of a padded place: `torch.nn.functional.cross_entropy` leaves it out."""


@dataclass(frozen=True)
class Window:
    """One update's worth of a language model's text.

    Attributes
    ----------
    inputs_BT, targets_BT
        Token ids; a target is the token after its input, or `IGNORED`.
    starts_B
        Which rows begin here, from a zero state; the others go on from the window before.
    rate
        What to multiply the learning rate with: this window's length against the usual one.
    target_share, row_share
        How much of the targets, and of the rows, of a window these are, where several processes share it.
    """

    inputs_BT: Tensor
    targets_BT: Tensor
    starts_B: Tensor
    rate: float = 1.0
    target_share: float = 1.0
    row_share: float = 1.0

    @property
    def num_tokens(self) -> int:
        """Predictions in it."""
        return int((self.targets_BT != IGNORED).sum())


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


class WindowSource(Protocol):
    """Anything that cuts a corpus to windows, the same ones for the same epoch number."""

    num_windows: int

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch."""
        ...


def stream_of(documents: Iterable[Sequence[int]], boundary_id: int) -> TokenStream:
    """Join documents to one stream."""
    boundary = np.array([boundary_id])
    pieces = (np.concatenate((np.asarray(ids, np.int64), boundary)) for ids in documents)
    return np.concatenate((boundary, *pieces))


class StreamWindows:
    """All documents as one stream with a boundary before each and at the end, cut to lanes.

    Each lane goes on in the next window with the state carried over. With a seed, for training, the stream is
    rotated by a random number of tokens each epoch, so that windows do not always begin at the same words, and
    a few rows of each window restart from the boundary and a zero state: a long text has few beginnings to learn
    from, and a served model always begins.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[int]] | TokenStream,
        *,
        boundary_id: int,
        batch_size: int,
        window: int,
        window_jitter: float = 0.0,
        restart_rate: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._stream = (
            documents if isinstance(documents, np.ndarray) else stream_of(documents, boundary_id)
        )
        self._num_targets = len(self._stream) - 1
        self._lanes = max(1, min(batch_size, self._num_targets))
        self._boundary_id = boundary_id
        self._window = window
        self._window_jitter = window_jitter
        self._restart_rate = restart_rate
        self._seed = seed
        self._length = -(-self._num_targets // self._lanes)
        self.num_windows = len(self._borders(0)) - 1

    def _borders(self, number: int) -> list[int]:
        """Cut an epoch to windows: about as long as asked, of lengths that vary where that was asked for.

        Every epoch has as many windows as the first, whose cuts those of the others are, in another order: so the
        number of steps is known beforehand.
        """
        if not self._window_jitter or self._seed is None:
            return [*range(0, self._length, self._window), self._length]
        random = np.random.default_rng((self._seed, 2))
        lengths: list[int] = []
        left = self._length
        while left > 0:
            mean = self._window / 2 if random.random() < 0.05 else self._window
            lengths.append(max(5, round(random.normal(mean, self._window_jitter))))
            left -= lengths[-1]
        lengths[-1] += left
        lengths = np.random.default_rng((self._seed, number, 2)).permutation(lengths).tolist()
        return [0, *itertools.accumulate(lengths)]

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch; without a seed, always from the stream's beginning."""
        shift, random = 0, None
        if self._seed is not None:
            shift = int(np.random.default_rng((self._seed, number)).integers(self._num_targets))
            random = np.random.default_rng((self._seed, number, 1))
        for start, end in itertools.pairwise(self._borders(number)):
            starts = torch.full((self._lanes,), start == 0)
            inputs, targets = self._read(start, end, shift)
            if random is not None:
                starts |= torch.from_numpy(random.random(self._lanes) < self._restart_rate)
                inputs[starts, 0] = self._boundary_id
            rate = (end - start) / self._window if self._window_jitter else 1.0
            yield Window(inputs, targets, starts, rate)

    def _read(self, start: int, end: int, shift: int) -> tuple[Tensor, Tensor]:
        """Read the times from `start` to before `end` of each lane: inputs and targets [B, T]."""
        place_BT = np.arange(start, end) + self._length * np.arange(self._lanes)[:, None]
        is_padding_BT = place_BT >= self._num_targets
        place_BT = (place_BT + shift) % self._num_targets
        inputs_BT = self._stream[place_BT].astype(np.int64)
        targets_BT = self._stream[place_BT + 1].astype(np.int64)
        inputs_BT[is_padding_BT] = 0
        targets_BT[is_padding_BT] = IGNORED
        return torch.from_numpy(inputs_BT), torch.from_numpy(targets_BT)


class FirstWindows:
    """The first windows of each epoch of a source: a text too long to be read whole, of which each has another part."""

    def __init__(self, source: WindowSource, max_windows: int) -> None:
        self._source = source
        self.num_windows = min(source.num_windows, max_windows)

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield the windows of an epoch."""
        return itertools.islice(self._source.epoch(number), self.num_windows)


class DocumentWindows:
    """Documents of like length side by side, each from a zero state: how independent texts are served.

    Every document is read as boundary, tokens and predicted as tokens, boundary. Documents longer than the
    window go on in the next one with the state carried over.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[int]],
        *,
        boundary_id: int,
        batch_size: int,
        window: int,
        seed: int | None = None,
    ) -> None:
        self._documents = [
            np.array([boundary_id, *document, boundary_id]) for document in documents
        ]
        self._batch_size = batch_size
        self._boundary_id = boundary_id
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


class LabelledBatches:
    """Labelled texts of like length side by side."""

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        labels: Sequence[int],
        *,
        batch_size: int,
        boundary_id: int,
        max_length: int,
        seed: int | None = None,
    ) -> None:
        self._texts = [text[:max_length] for text in texts]
        self._boundary_id = boundary_id
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
        tokens_BT, lengths_B = pad_texts([self._texts[i] for i in batch], self._boundary_id)
        return LabelledBatch(tokens_BT, lengths_B, torch.from_numpy(self._labels[batch]))
