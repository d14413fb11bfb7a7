"""What a run keeps in its folder while it goes on: its last snapshot and its best weights."""

from __future__ import annotations

import time
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from refrain.training.errors import SnapshotError
from refrain.training.optimize.distributed import World
from refrain.training.optimize.durable_files import write_tensors
from refrain.training.optimize.learner import Learner
from refrain.training.optimize.objectives.objective import Objective
from refrain.training.optimize.progress import Progress
from refrain.training.optimize.snapshot import (
    BEST,
    SNAPSHOT,
    SnapshotSource,
    find_snapshot,
    load_snapshot,
    restore_best,
    save_snapshot,
)

SECONDS_BETWEEN_SNAPSHOTS = 120.0


class RunStore:
    """The snapshot and the best weights of a run; of several processes only rank 0 writes them.

    Attributes
    ----------
    snapshot_step
        The step of the last snapshot; 0 if there is none yet.
    """

    def __init__(
        self,
        directory: Path,
        source: SnapshotSource,
        learner: Learner,
        objective: Objective,
        world: World,
    ) -> None:
        self._directory = directory
        self._source = source
        self._learner = learner
        self._objective = objective
        self._world = world
        self._last_attempt = time.monotonic()
        self.snapshot_step = 0

    def restore(self) -> Progress | None:
        """Go back to the last snapshot; None if there is none."""
        found = find_snapshot(self._directory / SNAPSHOT)
        if found is None:
            return None
        progress, state = load_snapshot(found, self._source, self._learner)
        if self._world.is_rank_zero:
            restore_best(found, self._directory)
        self._objective.state = self._world.shard_state(state)
        self.snapshot_step = progress.step
        return progress

    def is_snapshot_time(self) -> bool:
        """Return whether the last attempt at a snapshot was long enough ago."""
        return time.monotonic() - self._last_attempt > SECONDS_BETWEEN_SNAPSHOTS

    def save(self, progress: Progress) -> None:
        """Keep a snapshot.

        Raises
        ------
        SnapshotError
            If the disk is full or cannot be written; the last snapshot is still there.
        """
        self._last_attempt = time.monotonic()
        state = self._world.gather_state(self._objective.state)
        with self._world.rank_zero_first():
            if self._world.is_rank_zero:
                directory = self._directory / SNAPSHOT
                save_snapshot(directory, self._source, progress, self._learner, state)
        self.snapshot_step = progress.step

    def save_best(self) -> None:
        """Keep the weights that the model has as the best ones.

        Raises
        ------
        SnapshotError
            If they cannot be written.
        """
        if not self._world.is_rank_zero:
            return
        best = self._directory / BEST
        partial = best.with_name(f"{BEST}.partial")
        try:
            write_tensors(partial, self._learner.model.state_dict())
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise SnapshotError(
                f"{best} cannot be written: {error}; make room, then go on with the same command and --resume"
            ) from error
        partial.replace(best)

    def load_best(self) -> None:
        """Restore the best weights to the model."""
        if self._world.is_rank_zero:
            self._learner.model.load_state_dict(load_file(self._directory / BEST))
