"""From recipe and corpus to a trained model, which nothing is measured or saved of yet."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from refrain.models.checkpoint import RUN_LOG, WEIGHTS, Model
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import (
    LabelledCorpus,
    TextCorpus,
    hash_of,
)
from refrain.training.optimize.distributed import World, agreed_precision
from refrain.training.optimize.loop import TrainingLoop
from refrain.training.optimize.precision import Precision
from refrain.training.optimize.progress import Progress
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.console import Log
from refrain.training.reporting.listeners import RunListener
from refrain.training.reporting.progress_display import progress_display
from refrain.training.reporting.run_log import RunLog
from refrain.training.setup.ngram import documents_to_count, ngram_config
from refrain.training.setup.prepared import Prepared
from refrain.training.setup.tokens import tokenizer_for


@dataclass(frozen=True)
class Fitted:
    """A trained model, its tokenizer, and what its card says of the training."""

    model: Model
    tokenizer: Tokenizer
    facts: dict[str, Any]


def fit_network(
    recipe: TrainRecipe,
    prepared: Prepared,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    log: Log,
    listeners: Sequence[RunListener],
    world: World,
) -> Fitted:
    """Run the training loop, from the last snapshot if there is one."""
    parameters = list(prepared.model.parameters())
    num_parameters = sum(parameter.numel() for parameter in parameters)
    world.broadcast(parameters)
    precision = agreed_precision(parameters[0].device, recipe.budget.precision, world)
    log(_describe(prepared, num_parameters, precision, world))
    loop = TrainingLoop(
        prepared.objective,
        recipe,
        directory,
        precision,
        text_hash=_hash_of_sources(recipe, corpus, prepared.tokenizer),
        sample=prepared.sample if world.is_rank_zero else None,
        listeners=_rank_zero_listeners(directory, log, listeners) if world.is_rank_zero else (),
        world=world,
    )
    loop.resume()
    if loop.progress.step:
        log(f"going on from step {loop.progress.step:,}")
    loop.run()
    log(_kept(loop))
    prepared.model.zero_grad(set_to_none=True)
    facts = _facts(loop.progress, prepared.objective.num_windows, num_parameters)
    return Fitted(prepared.model.cpu().eval(), prepared.tokenizer, facts)


def _describe(prepared: Prepared, num_parameters: int, precision: Precision, world: World) -> str:
    device = next(prepared.model.parameters()).device
    return (
        f"{num_parameters:,} parameters, vocabulary {prepared.tokenizer.vocab_size:,}, "
        f"{prepared.objective.num_windows:,} steps an epoch, on {device.type} in {precision}"
        + (f", {world.size} processes" if world.size > 1 else "")
    )


def _facts(progress: Progress, num_windows: int, num_parameters: int) -> dict[str, Any]:
    """Return what a card says of the training."""
    epochs = progress.step / num_windows
    return {
        "parameters": num_parameters,
        "epochs": int(epochs) if epochs.is_integer() else round(epochs, 2),
        "steps": progress.step,
        "kept_step": progress.best_step,
        "seconds": round(progress.seconds),
        "precision": progress.precision,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}",
    }


def _hash_of_sources(
    recipe: TrainRecipe, corpus: TextCorpus | LabelledCorpus, tokenizer: Tokenizer
) -> str:
    """Return a SHA-256 of all that a run learns from: its corpus, its tokenizer, the weights of other models."""
    digest = hashlib.sha256(f"{hash_of(corpus)} {tokenizer.to_json()}".encode())
    for source in recipe.sources:
        digest.update((Path(source) / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _rank_zero_listeners(
    directory: Path, log: Log, others: Sequence[RunListener]
) -> tuple[RunListener, ...]:
    """Return the listeners of a run, which rank 0 alone notifies."""
    return (RunLog(directory / RUN_LOG, log), progress_display(log), *others)


def _kept(loop: TrainingLoop) -> str:
    """Describe which step's weights were kept, and why the run is over if that was early."""
    progress = loop.progress
    metrics = progress.best_figures or {"score": progress.best}
    name, value = next(iter(metrics.items()))
    kept = f"kept step {progress.best_step:,} of {progress.step:,}, validation {name} {value:.4f}"
    if not loop.stopped_early:
        return kept
    return f"stopped early, after {progress.num_worse} validations that were no better; {kept}"


def count_ngrams(recipe: TrainRecipe, corpus: TextCorpus, log: Log) -> Fitted:
    """Count n-grams."""
    tokenizer = tokenizer_for(recipe, corpus)
    config = ngram_config(recipe, tokenizer)
    log(f"counting {config.order}-grams, vocabulary {config.vocab_size:,}")
    documents = documents_to_count(corpus, tokenizer)
    model = KneserNeyModel.estimate(documents, config)
    return Fitted(model, tokenizer, {"order": config.order})
