"""A whole run: recipe in, checkpoint directory out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from refrain.training.data.corpus import (
    LabelledCorpus,
    TextCorpus,
    require_content,
)
from refrain.training.errors import RecipeError
from refrain.training.optimize.allocator import keep_freed_memory
from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.optimize.snapshot import SNAPSHOT, find_snapshot
from refrain.training.output import clear, held_folder
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.console import Log, print_at_once
from refrain.training.reporting.listeners import RunListener
from refrain.training.run.finish import measure_and_save
from refrain.training.run.fit import count_ngrams, fit_network
from refrain.training.setup.prepare import prepare
from refrain.training.setup.tokens import as_text


def train(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Log = print_at_once,
    listeners: Sequence[RunListener] = (),
    world: World = SINGLE_PROCESS,
) -> Path:
    """Train a model on a corpus and write its checkpoint to a directory, which all processes of a run must see.

    Parameters
    ----------
    log
        Reports a line of text.
    listeners
        Are notified of what happens, beside the run log and the progress display; one of them may end the run.
    world
        The processes that share the run, and the device of this one; rank 0 reports, measures and writes.

    Raises
    ------
    RecipeError
        If several processes are to train anything but a language model, or there is no such device.
    TrainingStoppedError
        If a signal or a listener asked to stop; a snapshot was kept.
    OutputError
        If the directory cannot be written, another run holds it, or it has what this one would destroy: files that
        no run left, or a checkpoint or an unfinished run where neither `resume` nor `overwrite` says what to do.
    EmptyCorpusError
        If the corpus leaves nothing to learn from or to measure on.
    """
    if world.size > 1 and recipe.task != "language_model":
        raise RecipeError(f"a {recipe.task} is trained by one process, not {world.size}")
    if not world.is_rank_zero:
        log = _log_nothing
    held = held_folder(directory, resume=resume, overwrite=overwrite, sources=recipe.sources)
    with held if world.is_rank_zero else nullcontext():
        require_content(corpus)
        if resume and not find_snapshot(directory / SNAPSHOT):
            log(f"there is nothing to go on with in {directory}: the run begins at its first step")
        keep_freed_memory()
        torch.manual_seed(recipe.seed)
        device = world.device
        if recipe.task == "ngram":
            fitted = count_ngrams(recipe, as_text(corpus), log)
            if overwrite:
                clear(directory)
        else:
            with world.rank_zero_first():
                prepared = prepare(recipe, corpus, device, world)
                if overwrite and world.is_rank_zero:
                    clear(directory)
            fitted = fit_network(recipe, prepared, corpus, directory, log, listeners, world)
        if world.is_rank_zero:
            measure_and_save(recipe, corpus, directory, fitted, log)
    return directory


def _log_nothing(_: str) -> None:
    """Leave reports to rank 0."""
