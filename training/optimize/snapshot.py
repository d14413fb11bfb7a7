"""Snapshots: everything a killed run needs to go on. Tensors in safetensors, the rest in JSON; no pickle."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from refrain.models.state import RecurrentState
from refrain.training.errors import RecipeError, SnapshotError
from refrain.training.optimize.optimizer import WeightAverage
from refrain.training.optimize.precision import Precision
from refrain.training.recipe import differences, make_recipe

SNAPSHOT = "snapshot"
BEST = "best.safetensors"
"""The weights of the best validation so far."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    step
        Updates done in all.
    epoch, window
        The next window to read: its epoch and its place in it.
    best
        Best validation score so far (lower is better).
    best_step, best_figures
        When that was, and the figures of that validation, the one to show first.
    num_worse
        Validations since.
    last_score, num_decays
        The last epoch's figure, and how often a plateau has lowered the learning rate.
    seconds
        Time spent, over all sittings.
    precision
        Arithmetic of the run; a resumed run keeps it.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    best: float = float("inf")
    best_step: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    num_worse: int = 0
    last_score: float = float("inf")
    num_decays: int = 0
    seconds: float = 0.0
    precision: Precision = "float32"


def save_snapshot(
    directory: Path,
    *,
    progress: Progress,
    recipe: dict[str, Any],
    text_hash: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None,
    state: RecurrentState | None,
) -> None:
    """Write a snapshot beside the last one, then put it in its place; the best weights beside it are in it too.

    Raises
    ------
    SnapshotError
        If the disk is full or cannot be written; the last snapshot is still there.
    """
    tensors = _tensors(model, optimizer, average, state)
    facts = {"progress": asdict(progress), "recipe": recipe, "text_hash": text_hash}
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_tensors(partial / "tensors.safetensors", tensors)
        (partial / "progress.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
        _reach_disk(partial / "progress.json")
        if (directory.parent / BEST).exists():
            _link(directory.parent / BEST, partial / BEST)
        _reach_disk(partial)
        _put_in_place(partial, directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise SnapshotError(f"{directory} cannot be written: {error}") from error


def _tensors(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None,
    state: RecurrentState | None,
) -> dict[str, Tensor]:
    """Return everything that a run goes on from, by name."""
    tensors: dict[str, Tensor] = {"generator": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda_generator"] = torch.cuda.get_rng_state()
    tensors |= {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    for index, weights in enumerate(average.weights if average else ()):
        tensors[f"average.{index}"] = weights
    for index, layer in enumerate(state.layers if state else ()):
        tensors[f"state.{index}"] = layer
    return tensors


def _put_in_place(partial: Path, directory: Path) -> None:
    """At any moment one whole snapshot is found."""
    old = directory.with_name(directory.name + ".old")
    if directory.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(directory, old)
    os.replace(partial, directory)
    _reach_disk(directory.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore_best(snapshot: Path, directory: Path) -> None:
    """Restore a snapshot's best weights: a run that was killed later may have found others."""
    if (snapshot / BEST).exists():
        partial = directory / f"{BEST}.partial"
        partial.unlink(missing_ok=True)
        _link(snapshot / BEST, partial)
        partial.replace(directory / BEST)


def _link(source: Path, target: Path) -> None:
    """Link a file, which is replaced but never rewritten, under a second name; a copy where the disk knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        _reach_disk(target)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file and wait until it is on the disk."""
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
    _reach_disk(path)


def _reach_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename must not overtake what it names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_snapshot(directory: Path) -> Path | None:
    """Return the folder of the last whole snapshot, if there is one."""
    for candidate in (directory, directory.with_name(directory.name + ".old")):
        if (candidate / "progress.json").is_file():
            return candidate
    return None


def load_snapshot(
    directory: Path,
    *,
    recipe: dict[str, Any],
    text_hash: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None,
    device: torch.device,
) -> tuple[Progress, RecurrentState | None]:
    """Restore a run to where its snapshot left it.

    Raises
    ------
    SnapshotError
        If the snapshot was made by another recipe or of another text, or cannot be read.
    """
    facts, tensors = _read(directory)
    _require_same(directory, facts, recipe, text_hash)
    model.load_state_dict(_under("model.", tensors))
    _load_optimizer(optimizer, _under("optimizer.", tensors))
    for index, weights in enumerate(average.weights if average else ()):
        weights.copy_(tensors[f"average.{index}"])
    torch.set_rng_state(tensors["generator"])
    if "cuda_generator" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda_generator"])
    layers = _under("state.", tensors)
    state = None
    if layers:
        state = RecurrentState(tuple(layers[str(i)].to(device) for i in range(len(layers))))
    return Progress(**facts["progress"]), state


def _read(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a snapshot's facts and tensors."""
    try:
        facts = json.loads((directory / "progress.json").read_text("utf-8"))
        tensors = load_file(directory / "tensors.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise SnapshotError(
            f"{directory} cannot be read ({error}); start anew with --overwrite"
        ) from error
    return facts, tensors


def _require_same(
    directory: Path, facts: dict[str, Any], recipe: dict[str, Any], text_hash: str
) -> None:
    """Refuse a snapshot that another recipe made, or that learned from something else."""
    if differences := _differences(facts.get("recipe"), recipe):
        raise SnapshotError(
            f"{directory} was made by another recipe ({', '.join(differences)}); give the same one, or start anew "
            "with --overwrite"
        )
    if facts.get("text_hash") != text_hash:
        raise SnapshotError(
            f"{directory} was made of another text: the corpus, the tokenizer or a teacher has changed; "
            "start anew with --overwrite"
        )


def _differences(stored: Any, recipe: dict[str, Any]) -> list[str]:
    """Describe how recipes differ in what matters; keys younger than the snapshot have their defaults in it."""
    try:
        return differences(make_recipe(stored), make_recipe(recipe))
    except (RecipeError, AttributeError):
        return ["it is none of this version"]


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
