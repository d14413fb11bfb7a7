"""One long text, cut to lanes that go on from window to window.

Shapes: B rows, T times.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from refrain.training.data.batches.window import (
    IGNORED,
    TokenStream,
    Window,
    WindowSource,
    stream_of,
)


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
        eos_id: int,
        batch_size: int,
        window: int,
        window_jitter: float = 0.0,
        restart_rate: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._stream = (
            documents if isinstance(documents, np.ndarray) else stream_of(documents, eos_id)
        )
        self._num_targets = len(self._stream) - 1
        self._lanes = max(1, min(batch_size, self._num_targets))
        self._eos_id = eos_id
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
                inputs[starts, 0] = self._eos_id
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
