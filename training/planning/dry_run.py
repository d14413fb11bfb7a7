"""What a run would take, estimated before it: parameters, steps, memory, time. No model is written."""

from __future__ import annotations

import torch
from torch import nn

from refrain.training.data.corpus import LabelledCorpus, TextCorpus, require_content
from refrain.training.optimize.allocator import keep_freed_memory
from refrain.training.optimize.precision import choose_device, choose_precision
from refrain.training.planning.memory import MEBIBYTE, estimate_memory
from refrain.training.planning.probe import Probe, measure_steps
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting.console import Log, print_at_once
from refrain.training.reporting.progress_display import duration
from refrain.training.setup.ngram import ngram_config
from refrain.training.setup.prepare import prepare
from refrain.training.setup.prepared import Prepared
from refrain.training.setup.tokens import as_text, tokenizer_for, training_tokens


def dry_run(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    *,
    device_name: str = "auto",
    log: Log = print_at_once,
) -> None:
    """Read the data, make tokenizer and model, take a few steps, and report what the whole run would take."""
    require_content(corpus)
    keep_freed_memory()
    if recipe.task == "ngram":
        _describe_ngram(recipe, as_text(corpus), log)
        return
    torch.manual_seed(recipe.seed)
    device = choose_device(device_name)
    prepared = prepare(recipe, corpus, device)
    precision = choose_precision(device, recipe.budget.precision)
    log(f"dry run of {recipe.name}, on {device.type} in {precision}: no model is written")
    _describe_model(prepared.model, log)
    num_tokens = sum(batch.num_tokens for batch in prepared.objective.epoch(0))
    _describe_steps(recipe, prepared, num_tokens, log)
    probe = measure_steps(recipe, prepared.objective, device, precision)
    _describe_memory(estimate_memory(recipe, prepared.model, probe, device, precision), log)
    _describe_time(
        recipe, prepared, num_tokens, _validation_tokens(recipe, prepared, corpus), probe, log
    )


def parameters_by_part(model: nn.Module) -> dict[str, int]:
    """Count parameters: of each layer, and of what stands outside of layers."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        words = name.split(".")
        numbers = [i for i, word in enumerate(words) if word.isdigit()]
        part = ".".join(words[: numbers[-1] + 1] if numbers else words[:1])
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def _describe_model(model: nn.Module, log: Log) -> None:
    counts = parameters_by_part(model)
    log("parameters")
    for part, number in {**counts, "in all": sum(counts.values())}.items():
        log(f"  {part:28} {number:14,}")


def _describe_steps(recipe: TrainRecipe, prepared: Prepared, num_tokens: int, log: Log) -> None:
    epochs, num_windows = recipe.budget.epochs, prepared.objective.num_windows
    log("data")
    for name, number in {
        "vocabulary": prepared.tokenizer.vocab_size,
        "tokens an epoch": num_tokens,
        "steps an epoch": num_windows,
        f"steps in {epochs} epochs": epochs * num_windows,
    }.items():
        log(f"  {name:28} {number:14,}")


def _describe_memory(parts: dict[str, int], log: Log) -> None:
    log("memory, estimated: the most that is held at once")
    for part, size in {**parts, "in all": sum(parts.values())}.items():
        log(f"  {part:28} {size / MEBIBYTE:10,.1f} MiB")


def _describe_time(
    recipe: TrainRecipe,
    prepared: Prepared,
    num_tokens: int,
    num_validation_tokens: int,
    probe: Probe,
    log: Log,
) -> None:
    budget = recipe.budget
    num_steps = budget.epochs * prepared.objective.num_windows
    every = budget.validate_every
    num_validations = -(-num_steps // every) if every else budget.epochs
    once = num_validation_tokens / probe.read_speed
    steps = budget.epochs * num_tokens / probe.train_speed
    log(f"time, estimated from {probe.num_steps} steps")
    log(f"  {'speed':28} {probe.train_speed:14,.0f} tokens/s")
    log(f"  {'an epoch':28} {duration(num_tokens / probe.train_speed):>14}")
    log(f"  {'a validation':28} {duration(once):>14}, {num_validations} of them")
    log(f"  {'the whole run':28} {duration(steps + num_validations * once):>14}")
    log("  measuring the finished model on validation and test comes on top")


def _validation_tokens(
    recipe: TrainRecipe, prepared: Prepared, corpus: TextCorpus | LabelledCorpus
) -> int:
    encode = prepared.tokenizer.encode_batch
    if isinstance(corpus, TextCorpus):
        return sum(len(ids) + 1 for ids in encode(corpus.documents["validation"]))
    texts = [example.text for example in corpus.examples["validation"]]
    return sum(min(len(ids), recipe.budget.window) for ids in encode(texts))


def _describe_ngram(recipe: TrainRecipe, corpus: TextCorpus, log: Log) -> None:
    """Describe what can be said before counting."""
    tokenizer = tokenizer_for(recipe, corpus)
    num_tokens = int(training_tokens(corpus, tokenizer)[1].sum())
    order = ngram_config(recipe, tokenizer).order
    log(f"dry run of {recipe.name}: no model is written")
    for name, number in {
        "vocabulary": tokenizer.vocab_size,
        "tokens to count": num_tokens,
        f"n-grams up to order {order}, at most": order * num_tokens,
    }.items():
        log(f"  {name:36} {number:14,}")
    log("  n-grams are counted in one pass, without steps or a learning rate")
