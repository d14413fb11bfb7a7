"""A whole run: recipe in, checkpoint directory out."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from refrain.models.card import Card, Metric
from refrain.models.checkpoint import RUN_LOG, WEIGHTS, Checkpoint, Model, save_checkpoint
from refrain.models.config import NGramConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import (
    LabelledCorpus,
    Split,
    TextCorpus,
    TextFileCorpus,
    hash_of,
    require_content,
)
from refrain.training.errors import RecipeError
from refrain.training.evaluation.evaluate import evaluate_checkpoint, language_model_metrics
from refrain.training.optimize.allocator import keep_freed_memory, return_freed_memory
from refrain.training.optimize.distributed import ALONE, Processes, agreed_precision
from refrain.training.optimize.loop import TrainingLoop
from refrain.training.optimize.snapshot import BEST, SNAPSHOT, find_snapshot
from refrain.training.output import RECIPE, clear, held_folder
from refrain.training.publishing.card import card_text
from refrain.training.recipe import TrainRecipe
from refrain.training.reporting.listeners import RunListener
from refrain.training.reporting.progress_display import progress_display
from refrain.training.reporting.run_log import RunLog
from refrain.training.setup import (
    Prepared,
    as_text,
    documents_to_count,
    ngram_config,
    prepare,
    tokenizer_for,
)


def print_at_once(text: str) -> None:
    """Print a line, to a log file too, without waiting for more of them."""
    print(text, flush=True)


def train(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print_at_once,
    listeners: Sequence[RunListener] = (),
    processes: Processes = ALONE,
) -> Path:
    """Train a model on a corpus and write its checkpoint to a directory, which all processes of a run must see.

    Parameters
    ----------
    say
        Prints a line for a person.
    listeners
        Are told what happens, beside the run log and the progress that is shown; one of them may end the run.
    processes
        Those that share the run, and the device of this one; the first one speaks, measures and writes.

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
    if processes.size > 1 and recipe.task != "language_model":
        raise RecipeError(f"a {recipe.task} is trained by one process, not {processes.size}")
    if not processes.is_first:
        say = _say_nothing
    held = held_folder(directory, resume=resume, overwrite=overwrite, sources=recipe.sources)
    with held if processes.is_first else nullcontext():
        require_content(corpus)
        if resume and not find_snapshot(directory / SNAPSHOT):
            say(f"there is nothing to go on with in {directory}: the run begins at its first step")
        keep_freed_memory()
        torch.manual_seed(recipe.seed)
        device = processes.device
        if recipe.task == "ngram":
            found = _estimate(recipe, as_text(corpus), say)
            if overwrite:
                clear(directory)
        else:
            with processes.first_goes_ahead():
                prepared = prepare(recipe, corpus, device, processes)
                if overwrite and processes.is_first:
                    clear(directory)
            found = _optimize(recipe, prepared, corpus, directory, say, listeners, processes)
        if processes.is_first:
            _measure_and_save(recipe, corpus, directory, *found, say)
    return directory


def _measure_and_save(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    model: Model,
    tokenizer: Tokenizer,
    facts: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    """Write the checkpoint of what a run found, with the figures that it has."""
    settings = json.dumps(recipe.to_dict(), ensure_ascii=False, indent=2)
    (directory / RECIPE).write_text(settings + "\n", encoding="utf-8")
    card = Card(
        description=recipe.card.description,
        language=recipe.card.language,
        license=recipe.card.license,
        dataset=recipe.data.dataset or Path(recipe.data.text).name,
        recipe=f"recipes/{recipe.name}.toml" if recipe.data.dataset else "",
        text_sha256=corpus.train.file.sha256 if isinstance(corpus, TextFileCorpus) else "",
        training=facts,
    )
    return_freed_memory()
    say("measuring on validation and test, as the service would read")
    baseline = _baseline(recipe, model, tokenizer, corpus)
    dtype = getattr(torch, recipe.dtype)
    metrics = finish(directory, model, tokenizer, card, corpus, dtype, baseline)
    for line in figures_text(metrics):
        say(line)


def figures_text(metrics: Sequence[Metric]) -> list[str]:
    """Describe what was measured, a line for each split."""
    lines = []
    for split in dict.fromkeys(metric.split for metric in metrics):
        figures = [
            f"{metric.name.replace('_', ' ')}{f' ({metric.model})' if metric.model else ''} {metric.value:.5g}"
            for metric in metrics
            if metric.split == split
        ]
        lines.append(f"{split}: {', '.join(figures)}")
    return lines


def finish(
    directory: Path,
    model: Model,
    tokenizer: Tokenizer,
    card: Card,
    corpus: TextCorpus | LabelledCorpus,
    dtype: torch.dtype,
    baseline: tuple[Metric, ...] = (),
) -> tuple[Metric, ...]:
    """Round a model to what is stored, measure that, save it with its card, and clear the run's leftovers.

    Nothing is saved before it is measured, so that a run that is killed while measuring is unfinished and can go on.
    """
    if not isinstance(model, KneserNeyModel):
        model.cpu().eval()
        stored = {name: value.to(dtype).float() for name, value in model.state_dict().items()}
        model.load_state_dict(stored)
    name = directory.resolve().name
    measured = evaluate_checkpoint(Checkpoint(name, model, tokenizer, card), corpus)
    card = replace(card, metrics=measured + baseline)
    readme = card_text(name, model, tokenizer, card)
    save_checkpoint(directory, model, tokenizer, card, readme=readme, dtype=dtype)
    shutil.rmtree(directory / SNAPSHOT, ignore_errors=True)
    (directory / BEST).unlink(missing_ok=True)
    return card.metrics


def _baseline(
    recipe: TrainRecipe, model: Model, tokenizer: Tokenizer, corpus: TextCorpus | LabelledCorpus
) -> tuple[Metric, ...]:
    """Measure the n-gram that the recipe asks for, on the tokens of the model."""
    order = recipe.card.baseline_order
    if not order or not isinstance(model, LanguageModel):
        return ()
    corpus = as_text(corpus)
    config = NGramConfig(vocab_size=tokenizer.vocab_size, order=order)
    ngram = KneserNeyModel.estimate(documents_to_count(corpus, tokenizer), config)
    splits: tuple[Split, ...] = ("validation", "test")
    return tuple(
        replace(metric, model=f"Kneser-Ney {order}-gram")
        for split in splits
        for metric in language_model_metrics(ngram, tokenizer, corpus, split)
        if metric.name != "unknown_rate"
    )


def _optimize(
    recipe: TrainRecipe,
    prepared: Prepared,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    say: Callable[[str], None],
    listeners: Sequence[RunListener],
    processes: Processes,
) -> tuple[Model, Tokenizer, dict[str, Any]]:
    """Run the training loop, from the last snapshot if there is one."""
    model = prepared.model
    device = next(model.parameters()).device
    processes.copy_first(model.parameters())
    precision = agreed_precision(device, recipe.budget.precision, processes)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    say(
        f"{num_parameters:,} parameters, vocabulary {prepared.tokenizer.vocab_size:,}, "
        f"{prepared.objective.num_windows:,} steps an epoch, on {device.type} in {precision}"
        + (f", {processes.size} processes" if processes.size > 1 else "")
    )
    loop = TrainingLoop(
        prepared.objective,
        recipe,
        directory,
        precision,
        text_hash=_hash_of_sources(recipe, corpus, prepared.tokenizer),
        sample=prepared.sample if processes.is_first else None,
        listeners=_first_listeners(directory, say, listeners) if processes.is_first else (),
        processes=processes,
    )
    loop.resume()
    if loop.progress.step:
        say(f"going on from step {loop.progress.step:,}")
    loop.run()
    say(_kept(loop))
    epochs = loop.progress.step / prepared.objective.num_windows
    facts = {
        "parameters": num_parameters,
        "epochs": int(epochs) if epochs.is_integer() else round(epochs, 2),
        "steps": loop.progress.step,
        "kept_step": loop.progress.best_step,
        "seconds": round(loop.progress.seconds),
        "precision": loop.progress.precision,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}",
    }
    model.zero_grad(set_to_none=True)
    return model.cpu().eval(), prepared.tokenizer, facts


def _hash_of_sources(
    recipe: TrainRecipe, corpus: TextCorpus | LabelledCorpus, tokenizer: Tokenizer
) -> str:
    """Return a SHA-256 of all that a run learns from: its corpus, its tokenizer, the weights of other models."""
    digest = hashlib.sha256(f"{hash_of(corpus)} {tokenizer.to_json()}".encode())
    for source in recipe.sources:
        digest.update((Path(source) / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _first_listeners(
    directory: Path, say: Callable[[str], None], others: Sequence[RunListener]
) -> tuple[RunListener, ...]:
    """Return those whom the first process tells of the run."""
    return (RunLog(directory / RUN_LOG, say), progress_display(say), *others)


def _say_nothing(_: str) -> None:
    """Leave speaking to the first process."""


def _kept(loop: TrainingLoop) -> str:
    """Describe which step's weights were kept, and why the run is over if that was early."""
    progress = loop.progress
    figures = progress.best_figures or {"score": progress.best}
    name, figure = next(iter(figures.items()))
    kept = f"kept step {progress.best_step:,} of {progress.step:,}, validation {name} {figure:.4f}"
    if not loop.stopped_early:
        return kept
    return f"stopped early, after {progress.num_worse} validations that were no better; {kept}"


def _estimate(
    recipe: TrainRecipe, corpus: TextCorpus, say: Callable[[str], None]
) -> tuple[Model, Tokenizer, dict[str, Any]]:
    """Count n-grams."""
    tokenizer = tokenizer_for(recipe, corpus)
    config = ngram_config(recipe, tokenizer)
    say(f"counting {config.order}-grams, vocabulary {config.vocab_size:,}")
    documents = documents_to_count(corpus, tokenizer)
    return KneserNeyModel.estimate(documents, config), tokenizer, {"order": config.order}
