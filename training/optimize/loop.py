"""The training loop: read a window, step, log, validate, snapshot."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from refrain.training.errors import SnapshotError, TrainingStoppedError
from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.optimize.divergence import require_finite
from refrain.training.optimize.learner import Learner
from refrain.training.optimize.objectives.objective import BatchLoss, Objective
from refrain.training.optimize.optimizer import learning_rate, take_gradients
from refrain.training.optimize.precision import Precision, autocast
from refrain.training.optimize.progress import Progress
from refrain.training.optimize.run_store import RunStore
from refrain.training.optimize.snapshot import SnapshotSource
from refrain.training.optimize.stop import StopRequest, stop_signals
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.listeners import (
    ListenerGroup,
    RunEnd,
    RunListener,
    RunStart,
    StepReport,
    ValidationReport,
)


class TrainingLoop:
    """One run from its first step, or from its snapshot, to its last.

    Parameters
    ----------
    directory
        Holds `snapshot/` and `best.safetensors` while the run goes on.
    sample
        Returns a sample of what the model writes by now; None for models that do not write.
    listeners
        Are notified of what happens, and may ask to stop; of several processes only rank 0 has any.
    world
        The processes that share the run; only rank 0 writes.
    """

    def __init__(
        self,
        objective: Objective,
        recipe: TrainRecipe,
        directory: Path,
        precision: Precision,
        *,
        text_hash: str = "",
        sample: Callable[[], str] | None = None,
        listeners: Sequence[RunListener] = (),
        world: World = SINGLE_PROCESS,
    ) -> None:
        self._objective = objective
        self._recipe = recipe
        self._sample = sample
        self._listener = ListenerGroup(listeners)
        self._world = world
        self._learner = Learner(objective.model, recipe.optimizer)
        source = SnapshotSource(recipe.to_dict(), text_hash)
        self._store = RunStore(directory, source, self._learner, objective, world)
        self._rate = 0.0
        self._num_steps = recipe.budget.epochs * objective.num_windows
        self.progress = Progress(precision=precision)
        self._stop = StopRequest()

    def resume(self) -> None:
        """Go back to the last snapshot, if there is one."""
        self.progress = self._store.restore() or self.progress

    def run(self) -> None:
        """Train to the end and leave the best weights in the model.

        Raises
        ------
        TrainingStoppedError
            If a signal or a listener asked to stop; a snapshot was kept.
        """
        outcome: Literal["finished", "stopped", "failed"] = "failed"
        self._listener.on_start(RunStart(self._recipe, self.progress.step, self._num_steps))
        try:
            self._run_epochs()
            outcome = "finished"
        except TrainingStoppedError:
            outcome = "stopped"
            raise
        finally:
            self._listener.on_end(RunEnd(self.progress.step, outcome))
        self._store.load_best()

    @property
    def stopped_early(self) -> bool:
        """Whether validation has not become better for as long as the recipe has patience."""
        patience = self._recipe.budget.patience
        return 0 < patience <= self.progress.num_worse

    @property
    def is_over(self) -> bool:
        """Whether the last step is done, or the run stops early."""
        return self.progress.step == self._num_steps or self.stopped_early

    def _run_epochs(self) -> None:
        self._objective.model.train()
        with stop_signals() as self._stop:
            for epoch in range(self.progress.epoch, self._recipe.budget.epochs):
                if self.stopped_early:
                    return
                self._run_epoch(epoch)

    def _run_epoch(self, epoch: int) -> None:
        num_windows = self._objective.num_windows
        batches = itertools.islice(self._objective.epoch(epoch), self.progress.window, None)
        started = time.monotonic()
        for window, batch in enumerate(batches, start=self.progress.window):
            loss, norm = self._step(batch)
            seconds = time.monotonic() - started
            self.progress = self.progress.after_window(
                epoch, window, num_windows=num_windows, seconds=seconds
            )
            self._report(loss, norm, loss.num_tokens / (time.monotonic() - started))
            self._validate_if_due()
            self._snapshot_or_stop()
            if self.is_over:
                return
            started = time.monotonic()

    def _validate_if_due(self) -> None:
        every = self._recipe.budget.validate_every
        ends_epoch = self.progress.window == 0 and not every
        if self._is_due(every) or ends_epoch or self.progress.step == self._num_steps:
            score = self._validate()
            if ends_epoch:
                self.progress = self.progress.after_epoch(score)

    def _snapshot_or_stop(self) -> None:
        """Keep a snapshot if one is due; stop the run after its step if somebody asked for that."""
        every = self._recipe.budget.snapshot_every
        stops, is_time = self._world.any_of(
            self._stop.is_made or self._listener.should_stop,
            every == 0 and self._store.is_snapshot_time(),
        )
        if self._is_due(every) or is_time or self.is_over:
            self._snapshot()
        if stops and not self.is_over:
            self._store.save(self.progress)
            raise TrainingStoppedError(
                f"stopped at step {self.progress.step:,} of {self._num_steps:,}; "
                "go on with the same command and --resume"
            )

    def _step(self, batch: object) -> tuple[BatchLoss, float]:
        """Update once: the loss, and the gradient's norm before clipping."""
        recipe = self._recipe.optimizer
        self._rate = learning_rate(
            recipe,
            step=self.progress.step,
            num_steps=self._num_steps,
            epoch=self.progress.epoch,
            num_decays=self.progress.num_decays,
        )
        with autocast(self._learner.device, self.progress.precision):
            loss = self._objective.loss(batch)
        mean, num_tokens = self._world.total(loss.mean, loss.num_tokens)
        loss = replace(loss, mean=mean, num_tokens=int(num_tokens))
        self._require_finite("loss", loss.mean)
        norm = take_gradients(
            loss.minimised, self._learner.parameters, self._world, clip_norm=recipe.clip_norm
        )
        self._require_finite("gradient's norm", norm)
        self._learner.update(self._rate * loss.rate, self.progress.step + 1)
        return loss, norm

    def _require_finite(self, name: str, value: float) -> None:
        recipe, kept = self._recipe.optimizer, self._store.snapshot_step
        require_finite(name, value, self.progress.step, self._rate, recipe, kept)

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.progress.step % every == 0

    def _report(self, loss: BatchLoss, norm: float, speed: float) -> None:
        progress = self.progress
        self._listener.on_step(
            StepReport(
                step=progress.step,
                epoch=progress.epoch,
                loss=loss.mean,
                gradient_norm=norm,
                learning_rate=self._rate,
                tokens_per_second=speed,
                seconds=progress.seconds,
            )
        )

    def _validate(self) -> float:
        """Measure, keep the weights if they are the best so far, and show a sample; return the score."""
        with self._learner.averaged():
            return self._validate_weights()

    def _validate_weights(self) -> float:
        with autocast(self._learner.device, self.progress.precision):
            metrics = self._objective.validate()
        score = metrics.pop("score")
        self._require_finite("validation score", score)
        is_best = score < self.progress.best
        if is_best:
            self._store.save_best()
        self.progress = self.progress.after_validation(score, metrics)
        sample = self._sample() if self._sample is not None else None
        self._listener.on_validation(
            ValidationReport(self.progress.step, metrics, is_best=is_best, sample=sample)
        )
        return score

    def _snapshot(self) -> None:
        """Keep a snapshot; if the disk takes none, report that and go on with the last one."""
        try:
            self._store.save(self.progress)
        except SnapshotError as error:
            self._listener.on_message(
                f"no snapshot at step {self.progress.step:,}, the last one stays: {error}"
            )
