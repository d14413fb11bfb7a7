"""The rows of each window that one process reads.

Shapes: B rows, T times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from refrain.training.data.batches.window import IGNORED, Window, WindowSource
from refrain.training.optimize.distributed import (
    World,
)


class ShardedWindows:
    """The windows of a source, of each the rows of this process.

    Parameters
    ----------
    seed
        For training: what the dropout of all processes but rank 0 is drawn from, with the index in the epoch, so
        that masks differ between processes, and a snapshot need not hold the generator of each.
    """

    def __init__(self, source: WindowSource, world: World, seed: int | None = None) -> None:
        self._source = source
        self._world = world
        self._seed = seed
        self.num_windows = source.num_windows

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield this process's share of the windows of an epoch; one may have no rows."""
        rank = self._world.rank
        for index, window in enumerate(self._source.epoch(number)):
            if self._seed is not None and rank:
                entropy = np.random.SeedSequence((self._seed, rank, number, index))
                torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))
            yield shard_window(window, self._world)


def shard_window(window: Window, world: World) -> Window:
    """Return this process's rows of a window, and what share of its targets and rows they are."""
    rows = world.shard(len(window.inputs_BT))
    targets_BT = window.targets_BT[rows]
    num_targets = int((window.targets_BT != IGNORED).sum())
    return replace(
        window,
        inputs_BT=window.inputs_BT[rows],
        targets_BT=targets_BT,
        starts_B=window.starts_B[rows],
        target_share=int((targets_BT != IGNORED).sum()) / num_targets,
        row_share=len(targets_BT) / len(window.targets_BT),
    )
