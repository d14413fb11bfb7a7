"""The training loop: read a window, step, log, validate, snapshot."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tqdm import tqdm

from training.distributed import ALONE, Processes
from training.errors import DivergedError, SnapshotError, TrainingStoppedError
from training.objective import Objective
from training.optimizer import WeightAverage, learning_rate, make_optimizer, set_learning_rate
from training.precision import Precision, autocast
from training.recipe import TrainRecipe
from training.run_log import RunLog
from training.snapshot import (
    Progress,
    find_snapshot,
    load_snapshot,
    save_snapshot,
    write_tensors,
)
from training.stop import StopRequest, stop_signals

LOG_EVERY = 20
SECONDS_BETWEEN_SNAPSHOTS = 120.0
FLAT = 0.003
"""Share by which an epoch must better the validation figure, else it counts as a plateau."""


class TrainingLoop:
    """One run from its first step, or from its snapshot, to its last.

    Parameters
    ----------
    directory
        Holds `run_log.jsonl`, and while the run goes on `snapshot/` and `best.safetensors`.
    sample
        Gives a sample of what the model writes by now; None for models that do not write.
    processes
        Those that share the run; only the first one speaks and writes.
    """

    def __init__(
        self,
        objective: Objective,
        recipe: TrainRecipe,
        directory: Path,
        device: torch.device,
        precision: Precision,
        *,
        text_hash: str = "",
        sample: Callable[[], str] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self._objective = objective
        self._recipe = recipe
        self._directory = directory
        self._device = device
        self._text_hash = text_hash
        self._sample = sample
        self._processes = processes
        self._log = RunLog(directory / "run_log.jsonl", is_kept=processes.is_first)
        self._optimizer = make_optimizer(objective.model, recipe.optimizer)
        self._parameters = list(objective.model.parameters())
        self._average = (
            WeightAverage(self._parameters, recipe.optimizer.averaging)
            if recipe.optimizer.averaging
            else None
        )
        self._rate = 0.0
        self._num_steps = recipe.budget.epochs * objective.num_windows
        self.progress = Progress(precision=precision)
        self._stop = StopRequest()
        self._since_snapshot = time.monotonic()
        self._perplexity = ""

    def resume(self) -> None:
        """Go back to the last snapshot, if there is one."""
        found = find_snapshot(self._directory / "snapshot")
        if found is None:
            self._log.clear()
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
        self._objective.state = self._processes.own(state)
        self._log.start_over(keep_until=self.progress.step)

    def run(self) -> None:
        """Train to the end and leave the best weights in the model.

        Raises
        ------
        TrainingStoppedError
            If a signal asked to stop; a snapshot was kept.
        """
        self._objective.model.train()
        with (
            stop_signals() as self._stop,
            tqdm(
                total=self._num_steps,
                initial=self.progress.step,
                unit="step",
                mininterval=1.0,
                disable=not self._processes.is_first,
            ) as bar,
        ):
            for epoch in range(self.progress.epoch, self._recipe.budget.epochs):
                self._run_epoch(epoch, bar)
        if self._processes.is_first:
            self._objective.model.load_state_dict(load_file(self._directory / "best.safetensors"))

    def _run_epoch(self, epoch: int, bar: tqdm[None]) -> None:
        budget = self._recipe.budget
        batches = self._objective.epoch(epoch)
        first = self.progress.window
        for window, batch in enumerate(itertools.islice(batches, first, None), start=first):
            started = time.monotonic()
            loss, norm, num_tokens = self._step(batch)
            self._advance(epoch, window, time.monotonic() - started)
            self._report(bar, loss, norm, num_tokens / (time.monotonic() - started))
            ends_epoch = self.progress.window == 0 and not budget.validate_every
            is_last = self.progress.step == self._num_steps
            if self._is_due(budget.validate_every) or ends_epoch or is_last:
                score = self._validate(bar)
                if ends_epoch:
                    self._answer_plateau(score)
            stops, is_time = self._processes.any_of(self._stop.is_made, self._is_snapshot_time())
            if self._is_due(budget.snapshot_every) or is_time or is_last:
                self._snapshot(bar)
            if stops and not is_last:
                self._save_snapshot()
                raise TrainingStoppedError(
                    f"stopped at step {self.progress.step:,} of {self._num_steps:,}; "
                    "go on with the same command and --resume"
                )

    def _step(self, batch: object) -> tuple[float, float, int]:
        """Update once: the loss, the gradient's norm before clipping, the tokens read."""
        recipe = self._recipe.optimizer
        with autocast(self._device, self.progress.precision):
            loss = self._objective.loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.minimised)
        self._processes.sum_gradients(self._parameters)
        mean, num_tokens = self._processes.total(loss.mean, loss.num_tokens)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, recipe.clip_norm).item()
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient is {norm} at step {self.progress.step}: lower optimizer.learning_rate "
                "or optimizer.clip_norm; the last snapshot is untouched"
            )
        self._rate = learning_rate(
            recipe,
            step=self.progress.step,
            num_steps=self._num_steps,
            epoch=self.progress.epoch,
            num_decays=self.progress.num_decays,
        )
        set_learning_rate(self._optimizer, self._rate * loss.rate)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self.progress.step + 1)
        return mean, norm, int(num_tokens)

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

    def _report(self, bar: tqdm[None], loss: float, norm: float, speed: float) -> None:
        step = self.progress.step
        bar.set_postfix_str(
            f"loss {loss:.3f}{self._perplexity} |g| {norm:.2f} lr {self._rate:.1e} {speed:,.0f} tokens/s",
            refresh=False,
        )
        bar.update()
        if step % LOG_EVERY == 0 or step == 1:
            self._log.write(
                "step",
                step=step,
                epoch=self.progress.epoch,
                loss=round(loss, 5),
                gradient_norm=round(norm, 4),
                learning_rate=self._rate,
                tokens_per_second=round(speed),
                seconds=round(self.progress.seconds, 1),
            )

    def _answer_plateau(self, score: float) -> None:
        """Note an epoch's figure; lower the learning rate from the first one on that is hardly better than the last."""
        progress = self.progress
        is_flat = progress.num_decays > 0 or score > progress.last_score * (1 - FLAT)
        self.progress = replace(
            progress, last_score=score, num_decays=progress.num_decays + is_flat
        )

    def _validate(self, bar: tqdm[None]) -> float:
        """Measure, keep the weights if they are the best so far, and show a sample; give the score."""
        with self._average.in_place() if self._average else nullcontext():
            return self._validate_weights(bar)

    def _validate_weights(self, bar: tqdm[None]) -> float:
        with autocast(self._device, self.progress.precision):
            figures = self._objective.validate()
        score = figures.pop("score")
        name, figure = next(iter(figures.items()))
        self._perplexity = f" val {name} {figure:.4g}"
        if score < self.progress.best:
            self.progress = replace(self.progress, best=score)
            self._save_best()
        if not self._processes.is_first:
            return score
        values: dict[str, object] = {"step": self.progress.step, **figures}
        bar.write(f"step {self.progress.step}: validation {name} {figure:.4f}")
        if self._sample is not None:
            text = self._sample()
            values["sample"] = text
            bar.write(f"--- sample\n{text}\n---")
        self._log.write("validation", **values)
        return score

    def _save_best(self) -> None:
        if not self._processes.is_first:
            return
        partial = self._directory / "best.safetensors.partial"
        write_tensors(partial, self._objective.model.state_dict())
        partial.replace(self._directory / "best.safetensors")

    def _snapshot(self, bar: tqdm[None]) -> None:
        """Keep a snapshot; where the disk takes none, say so and go on with the last one kept."""
        self._since_snapshot = time.monotonic()
        try:
            self._save_snapshot()
        except SnapshotError as error:
            bar.write(f"no snapshot at step {self.progress.step:,}, the last one stays: {error}")

    def _save_snapshot(self) -> None:
        state = self._processes.gathered(self._objective.state)
        with self._processes.first_goes_ahead():
            if self._processes.is_first:
                save_snapshot(
                    self._directory / "snapshot",
                    progress=self.progress,
                    recipe=self._recipe.to_dict(),
                    text_hash=self._text_hash,
                    model=self._objective.model,
                    optimizer=self._optimizer,
                    average=self._average,
                    state=state,
                )
