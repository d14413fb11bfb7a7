"""The training loop: read a window, step, tell, validate, snapshot."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load_file

from refrain.training.errors import DivergedError, SnapshotError, TrainingStoppedError
from refrain.training.optimize.distributed import ALONE, Processes
from refrain.training.optimize.objective import BatchLoss, Objective
from refrain.training.optimize.optimizer import (
    WeightAverage,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    take_gradients,
)
from refrain.training.optimize.precision import Precision, autocast
from refrain.training.optimize.snapshot import (
    BEST,
    SNAPSHOT,
    Progress,
    find_snapshot,
    load_snapshot,
    restore_best,
    save_snapshot,
    write_tensors,
)
from refrain.training.optimize.stop import StopRequest, stop_signals
from refrain.training.recipe import TrainRecipe
from refrain.training.reporting.listeners import (
    ListenerGroup,
    RunEnd,
    RunListener,
    RunStart,
    StepReport,
    ValidationReport,
)

SECONDS_BETWEEN_SNAPSHOTS = 120.0
FLAT = 0.003
"""Share by which an epoch must better the validation figure, else it counts as a plateau."""


class TrainingLoop:
    """One run from its first step, or from its snapshot, to its last.

    Parameters
    ----------
    directory
        Holds `snapshot/` and `best.safetensors` while the run goes on.
    sample
        Gives a sample of what the model writes by now; None for models that do not write.
    listeners
        Are told what happens, and may ask to stop; of several processes only the first has any.
    processes
        Those that share the run; only the first one writes.
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
        processes: Processes = ALONE,
    ) -> None:
        self._objective = objective
        self._recipe = recipe
        self._directory = directory
        self._text_hash = text_hash
        self._sample = sample
        self._listener = ListenerGroup(listeners)
        self._processes = processes
        self._optimizer = make_optimizer(objective.model, recipe.optimizer)
        self._parameters = list(objective.model.parameters())
        self._device = self._parameters[0].device
        self._average = (
            WeightAverage(self._parameters, recipe.optimizer.averaging)
            if recipe.optimizer.averaging
            else None
        )
        self._rate = 0.0
        self._snapshot_step = 0
        self._num_steps = recipe.budget.epochs * objective.num_windows
        self.progress = Progress(precision=precision)
        self._stop = StopRequest()
        self._since_snapshot = time.monotonic()

    def resume(self) -> None:
        """Go back to the last snapshot, if there is one."""
        found = find_snapshot(self._directory / SNAPSHOT)
        if found is None:
            return
        self.progress, state = load_snapshot(
            found,
            recipe=self._recipe.to_dict(),
            text_hash=self._text_hash,
            model=self._objective.model,
            optimizer=self._optimizer,
            average=self._average,
            device=self._device,
        )
        if self._processes.is_first:
            restore_best(found, self._directory)
        self._objective.state = self._processes.own(state)
        self._snapshot_step = self.progress.step

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
        if self._processes.is_first:
            self._objective.model.load_state_dict(load_file(self._directory / BEST))

    @property
    def stopped_early(self) -> bool:
        """Whether validation has not become better for as long as the recipe has patience."""
        patience = self._recipe.budget.patience
        return 0 < patience <= self.progress.num_worse

    def _run_epochs(self) -> None:
        self._objective.model.train()
        with stop_signals() as self._stop:
            for epoch in range(self.progress.epoch, self._recipe.budget.epochs):
                if self.stopped_early:
                    return
                self._run_epoch(epoch)

    def _run_epoch(self, epoch: int) -> None:
        budget = self._recipe.budget
        batches = self._objective.epoch(epoch)
        first = self.progress.window
        started = time.monotonic()
        for window, batch in enumerate(itertools.islice(batches, first, None), start=first):
            loss, norm = self._step(batch)
            self._advance(epoch, window, time.monotonic() - started)
            self._report(loss, norm, loss.num_tokens / (time.monotonic() - started))
            ends_epoch = self.progress.window == 0 and not budget.validate_every
            is_last = self.progress.step == self._num_steps
            if self._is_due(budget.validate_every) or ends_epoch or is_last:
                score = self._validate()
                if ends_epoch:
                    self._answer_plateau(score)
            is_last |= self.stopped_early
            stops, is_time = self._processes.any_of(
                self._stop.is_made or self._listener.should_stop, self._is_snapshot_time()
            )
            if self._is_due(budget.snapshot_every) or is_time or is_last:
                self._snapshot()
            if is_last:
                return
            if stops:
                self._save_snapshot()
                raise TrainingStoppedError(
                    f"stopped at step {self.progress.step:,} of {self._num_steps:,}; "
                    "go on with the same command and --resume"
                )
            started = time.monotonic()

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
        with autocast(self._device, self.progress.precision):
            loss = self._objective.loss(batch)
        mean, num_tokens = self._processes.total(loss.mean, loss.num_tokens)
        loss = replace(loss, mean=mean, num_tokens=int(num_tokens))
        self._require_finite("loss", loss.mean)
        norm = take_gradients(
            loss.minimised, self._parameters, self._processes, clip_norm=recipe.clip_norm
        )
        self._require_finite("gradient's norm", norm)
        set_learning_rate(self._optimizer, self._rate * loss.rate)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self.progress.step + 1)
        return loss, norm

    def _require_finite(self, name: str, value: float) -> None:
        """Stop where a number is none any more; the last snapshot is left as it is."""
        if math.isfinite(value):
            return
        recipe, kept = self._recipe.optimizer, self._snapshot_step
        raise DivergedError(
            f"the {name} is {value} at step {self.progress.step:,}, learning rate {self._rate:.2g}: "
            f"start anew with --overwrite and a lower optimizer.learning_rate (it is "
            f"{recipe.learning_rate:g}; `refrain find-lr` suggests one) or optimizer.clip_norm "
            f"(it is {recipe.clip_norm:g}). "
            + (
                f"The last snapshot, of step {kept:,}, is kept."
                if kept
                else "No snapshot was due yet."
            )
        )

    def _advance(self, epoch: int, window: int, seconds: float) -> None:
        is_last = window + 1 == self._objective.num_windows
        self.progress = replace(
            self.progress,
            step=self.progress.step + 1,
            epoch=epoch + is_last,
            window=0 if is_last else window + 1,
            seconds=self.progress.seconds + seconds,
        )

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.progress.step % every == 0

    def _is_snapshot_time(self) -> bool:
        by_time = self._recipe.budget.snapshot_every == 0
        return by_time and time.monotonic() - self._since_snapshot > SECONDS_BETWEEN_SNAPSHOTS

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

    def _answer_plateau(self, score: float) -> None:
        """Note an epoch's figure; lower the learning rate from the first one on that is hardly better than the last."""
        progress = self.progress
        is_flat = progress.num_decays > 0 or score > progress.last_score * (1 - FLAT)
        self.progress = replace(
            progress, last_score=score, num_decays=progress.num_decays + is_flat
        )

    def _validate(self) -> float:
        """Measure, keep the weights if they are the best so far, and show a sample; give the score."""
        with self._average.in_place() if self._average else nullcontext():
            return self._validate_weights()

    def _validate_weights(self) -> float:
        with autocast(self._device, self.progress.precision):
            figures = self._objective.validate()
        score = figures.pop("score")
        self._require_finite("validation figure", score)
        is_best = score < self.progress.best
        if is_best:
            self._save_best()
        self._note(score, figures, is_best=is_best)
        sample = self._sample() if self._sample is not None else None
        self._listener.on_validation(
            ValidationReport(self.progress.step, figures, is_best=is_best, sample=sample)
        )
        return score

    def _note(self, score: float, figures: dict[str, float], *, is_best: bool) -> None:
        """Remember the best figures and when they were, or for how long there have been none better."""
        progress = self.progress
        if is_best:
            self.progress = replace(
                progress, best=score, best_step=progress.step, best_figures=figures, num_worse=0
            )
        else:
            self.progress = replace(progress, num_worse=progress.num_worse + 1)

    def _save_best(self) -> None:
        if not self._processes.is_first:
            return
        best = self._directory / BEST
        partial = best.with_name(f"{BEST}.partial")
        try:
            write_tensors(partial, self._objective.model.state_dict())
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise SnapshotError(
                f"{best} cannot be written: {error}; make room, then go on with the same command and --resume"
            ) from error
        partial.replace(best)

    def _snapshot(self) -> None:
        """Keep a snapshot; where the disk takes none, say so and go on with the last one kept."""
        self._since_snapshot = time.monotonic()
        try:
            self._save_snapshot()
        except SnapshotError as error:
            self._listener.on_message(
                f"no snapshot at step {self.progress.step:,}, the last one stays: {error}"
            )

    def _save_snapshot(self) -> None:
        state = self._processes.gathered(self._objective.state)
        with self._processes.first_goes_ahead():
            if self._processes.is_first:
                save_snapshot(
                    self._directory / SNAPSHOT,
                    progress=self.progress,
                    recipe=self._recipe.to_dict(),
                    text_hash=self._text_hash,
                    model=self._objective.model,
                    optimizer=self._optimizer,
                    average=self._average,
                    state=state,
                )
        self._snapshot_step = self.progress.step
