"""A few real steps of a run, measured: how fast, and how much a window keeps for its backward pass."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.training.optimize.allocator import resident_bytes, return_freed_memory
from refrain.training.optimize.objectives.objective import Objective
from refrain.training.optimize.objectives.window_loss import window_loss
from refrain.training.optimize.optimizer import make_optimizer, set_learning_rate, take_gradients
from refrain.training.optimize.precision import Precision, autocast
from refrain.training.planning.learning_rate_finder import endless
from refrain.training.recipe.train_recipe import TrainRecipe

MAX_STEPS, MIN_STEPS, WARM_UP_STEPS = 30, 5, 2
SECONDS = 5.0


@dataclass(frozen=True)
class Probe:
    """What a few steps took.

    Attributes
    ----------
    train_speed, read_speed
        Tokens a second of updates, and of forward passes alone.
    window_bytes, window_tokens
        What the largest window kept for its backward pass, and its tokens.
    held_bytes
        Memory held before the first step: by the whole process, or on the device; 0 where that is not known.
    grown_bytes
        How much more was held at the most, counted after freed memory was given back: a run finds little use for holes.
    """

    num_steps: int
    train_speed: float
    read_speed: float
    window_bytes: int
    window_tokens: int
    held_bytes: int
    grown_bytes: int


@dataclass
class SavedBytes:
    """Memory that a forward pass keeps for the backward pass."""

    num_bytes: int = 0


def measure_steps(
    recipe: TrainRecipe, objective: Objective, device: torch.device, precision: Precision
) -> Probe:
    """Update a few times, the first ones to warm up, then read the same windows without a backward pass."""
    parameters = list(objective.model.train().parameters())
    optimizer = make_optimizer(objective.model, recipe.optimizer)
    set_learning_rate(optimizer, 1e-6)
    batches: list[Any] = []
    memory = MemoryGauge(device)
    window_bytes = num_tokens = 0
    seconds = 0.0
    for batch in itertools.islice(endless(objective), MAX_STEPS):
        batches.append(batch)
        started = time.monotonic()
        with count_saved(parameters) as saved, autocast(device, precision):
            loss = objective.loss(batch)
        memory.measure()
        take_gradients(loss.minimised, parameters, clip_norm=recipe.optimizer.clip_norm)
        optimizer.step()
        memory.measure()
        window_bytes = max(window_bytes, saved.num_bytes)
        if len(batches) > WARM_UP_STEPS:
            num_tokens += loss.num_tokens
            seconds += time.monotonic() - started
        if seconds > SECONDS and len(batches) >= MIN_STEPS:
            break
    read_speed = _read_speed(objective, batches[-MIN_STEPS:], device, precision)
    memory.measure()
    return Probe(
        num_steps=len(batches),
        train_speed=num_tokens / seconds,
        read_speed=read_speed,
        window_bytes=window_bytes,
        window_tokens=max(batch.num_tokens for batch in batches),
        held_bytes=memory.held_bytes,
        grown_bytes=memory.grown_bytes,
    )


class MemoryGauge:
    """How much memory is held, and how much more later: on the device, or by the process, which keeps what it freed."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.grown_bytes = 0
        self.held_bytes = self._held()
        return_freed_memory()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._first = self._held()

    def measure(self) -> None:
        """Note how much is held now."""
        self.grown_bytes = max(self.grown_bytes, self._held() - self._first)

    def _held(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return resident_bytes()


@contextmanager
def count_saved(parameters: Sequence[Tensor]) -> Iterator[SavedBytes]:
    """Count what is kept for the backward pass of what is computed here, but for the parameters themselves."""
    saved = SavedBytes()
    seen = {parameter.untyped_storage().data_ptr() for parameter in parameters}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            saved.num_bytes += storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


@torch.no_grad()
def _read_speed(
    objective: Objective, batches: Sequence[Any], device: torch.device, precision: Precision
) -> float:
    """Return the tokens a second of reading, as validation does."""
    model = objective.model.eval()
    started = time.monotonic()
    for batch in batches:
        with autocast(device, precision):
            if isinstance(model, LanguageModel):
                window_loss(model, batch, None, device)[0].item()
            else:
                objective.loss(batch)
    model.train()
    num_tokens: int = sum(batch.num_tokens for batch in batches)
    return num_tokens / (time.monotonic() - started)
