"""The end of a run: its model is measured and saved with its card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from refrain.models.card import Card, Metric
from refrain.models.checkpoint import Checkpoint, Model, save_checkpoint
from refrain.models.config import NGramConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import (
    LabelledCorpus,
    Split,
    TextCorpus,
    TextFileCorpus,
)
from refrain.training.evaluation.evaluate import evaluate_checkpoint, language_model_metrics
from refrain.training.optimize.allocator import return_freed_memory
from refrain.training.optimize.snapshot import BEST, SNAPSHOT
from refrain.training.output import RECIPE
from refrain.training.publishing.card import card_text
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.console import Log
from refrain.training.run.fit import Fitted
from refrain.training.setup.ngram import documents_to_count
from refrain.training.setup.tokens import as_text


def measure_and_save(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    directory: Path,
    fitted: Fitted,
    log: Log,
) -> None:
    """Measure a trained model and write its checkpoint."""
    settings = json.dumps(recipe.to_dict(), ensure_ascii=False, indent=2)
    (directory / RECIPE).write_text(settings + "\n", encoding="utf-8")
    card = Card(
        description=recipe.card.description,
        language=recipe.card.language,
        license=recipe.card.license,
        dataset=recipe.data.dataset or Path(recipe.data.text).name,
        recipe=f"recipes/{recipe.name}.toml" if recipe.data.dataset else "",
        text_sha256=corpus.train.file.sha256 if isinstance(corpus, TextFileCorpus) else "",
        training=fitted.facts,
    )
    return_freed_memory()
    log("measuring on validation and test, as the service would read")
    baseline = _baseline(recipe, fitted, corpus)
    dtype = getattr(torch, recipe.dtype)
    metrics = finish(directory, fitted.model, fitted.tokenizer, card, corpus, dtype, baseline)
    for line in metrics_text(metrics):
        log(line)


def metrics_text(metrics: Sequence[Metric]) -> list[str]:
    """Describe what was measured, a line for each split."""
    lines = []
    for split in dict.fromkeys(metric.split for metric in metrics):
        values = [
            f"{metric.name.replace('_', ' ')}{f' ({metric.model})' if metric.model else ''} {metric.value:.5g}"
            for metric in metrics
            if metric.split == split
        ]
        lines.append(f"{split}: {', '.join(values)}")
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
    recipe: TrainRecipe, fitted: Fitted, corpus: TextCorpus | LabelledCorpus
) -> tuple[Metric, ...]:
    """Measure the n-gram that the recipe asks for, on the tokens of the model."""
    order = recipe.card.baseline_order
    if not order or not isinstance(fitted.model, LanguageModel):
        return ()
    corpus, tokenizer = as_text(corpus), fitted.tokenizer
    config = NGramConfig(vocab_size=tokenizer.vocab_size, order=order)
    ngram = KneserNeyModel.estimate(documents_to_count(corpus, tokenizer), config)
    splits: tuple[Split, ...] = ("validation", "test")
    return tuple(
        replace(metric, model=f"Kneser-Ney {order}-gram")
        for split in splits
        for metric in language_model_metrics(ngram, tokenizer, corpus, split)
        if metric.name != "unknown_rate"
    )
