"""Snapshots: everything a killed run needs to go on. Tensors in safetensors, the rest in JSON; no pickle."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from refrain.models.state import RecurrentState
from refrain.training.errors import RecipeError, SnapshotError
from refrain.training.optimize.durable_files import (
    link_or_copy,
    replace_folder,
    sync_to_disk,
    write_tensors,
)
from refrain.training.optimize.learner import Learner
from refrain.training.optimize.progress import Progress
from refrain.training.recipe.differences import differences
from refrain.training.recipe.parsing import make_recipe

SNAPSHOT = "snapshot"
BEST = "best.safetensors"
"""The weights of the best validation so far."""


@dataclass(frozen=True)
class SnapshotSource:
    """What a snapshot was made by and of: another run's is refused.

    Attributes
    ----------
    recipe
        As plain dictionaries.
    text_hash
        Of all that the run learns from.
    """

    recipe: dict[str, Any]
    text_hash: str


def save_snapshot(
    directory: Path,
    source: SnapshotSource,
    progress: Progress,
    learner: Learner,
    state: RecurrentState | None,
) -> None:
    """Write a snapshot beside the last one, then move it into place; it includes the best weights beside it.

    Raises
    ------
    SnapshotError
        If the disk is full or cannot be written; the last snapshot is still there.
    """
    tensors = _tensors(learner, state)
    facts = {"progress": asdict(progress), **asdict(source)}
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_tensors(partial / "tensors.safetensors", tensors)
        (partial / "progress.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
        sync_to_disk(partial / "progress.json")
        if (directory.parent / BEST).exists():
            link_or_copy(directory.parent / BEST, partial / BEST)
        sync_to_disk(partial)
        replace_folder(partial, directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise SnapshotError(f"{directory} cannot be written: {error}") from error


def _tensors(learner: Learner, state: RecurrentState | None) -> dict[str, Tensor]:
    """Return everything that a run goes on from, by name."""
    tensors: dict[str, Tensor] = {"generator": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda_generator"] = torch.cuda.get_rng_state()
    tensors |= {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    for index, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    for index, weights in enumerate(learner.average.weights if learner.average else ()):
        tensors[f"average.{index}"] = weights
    for index, layer in enumerate(state.layers if state else ()):
        tensors[f"state.{index}"] = layer
    return tensors


def restore_best(snapshot: Path, directory: Path) -> None:
    """Restore a snapshot's best weights: a run that was killed later may have found others."""
    if (snapshot / BEST).exists():
        partial = directory / f"{BEST}.partial"
        partial.unlink(missing_ok=True)
        link_or_copy(snapshot / BEST, partial)
        partial.replace(directory / BEST)


def find_snapshot(directory: Path) -> Path | None:
    """Return the folder of the last whole snapshot, if there is one."""
    for candidate in (directory, directory.with_name(directory.name + ".old")):
        if (candidate / "progress.json").is_file():
            return candidate
    return None


def load_snapshot(
    directory: Path, source: SnapshotSource, learner: Learner
) -> tuple[Progress, RecurrentState | None]:
    """Restore a run to where its snapshot left it.

    Raises
    ------
    SnapshotError
        If the snapshot was made by another recipe or of another text, or cannot be read.
    """
    facts, tensors = _read(directory)
    _require_same(directory, facts, source)
    learner.model.load_state_dict(_under("model.", tensors))
    _load_optimizer(learner.optimizer, _under("optimizer.", tensors))
    for index, weights in enumerate(learner.average.weights if learner.average else ()):
        weights.copy_(tensors[f"average.{index}"])
    torch.set_rng_state(tensors["generator"])
    if "cuda_generator" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda_generator"])
    layers = _under("state.", tensors)
    state = None
    if layers:
        state = RecurrentState(tuple(layers[str(i)].to(learner.device) for i in range(len(layers))))
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


def _require_same(directory: Path, facts: dict[str, Any], source: SnapshotSource) -> None:
    """Refuse a snapshot that another recipe made, or that learned from something else."""
    if differences := _differences(facts.get("recipe"), source.recipe):
        raise SnapshotError(
            f"{directory} was made by another recipe ({', '.join(differences)}); give the same one, or start anew "
            "with --overwrite"
        )
    if facts.get("text_hash") != source.text_hash:
        raise SnapshotError(
            f"{directory} was made of another text: the corpus, the tokenizer or a teacher has changed; "
            "start anew with --overwrite"
        )


def _differences(stored: Any, recipe: dict[str, Any]) -> list[str]:
    """Describe how recipes differ in what matters; keys younger than the snapshot have their defaults in it."""
    try:
        return differences(make_recipe(stored), make_recipe(recipe))
    except (RecipeError, AttributeError):
        return ["it was written by an incompatible version"]


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
