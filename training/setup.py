"""Recipe and corpus to everything that a run needs before its first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refrain.models.checkpoint import Checkpoint, load_checkpoint
from refrain.models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from refrain.models.errors import ConfigError
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.networks.recurrent import BidirectionalStack
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.batches import (
    DocumentWindows,
    FirstWindows,
    LabelledBatches,
    StreamWindows,
    TokenStream,
    WindowSource,
    stream_of,
)
from refrain.training.data.corpus import LabelledCorpus, Split, TextCorpus, TextFileCorpus
from refrain.training.data.text_tokens import tokenizer_of, tokens_of
from refrain.training.errors import RecipeError
from refrain.training.optimize.distributed import ALONE, OwnWindows, Processes
from refrain.training.optimize.objective import (
    ClassifierObjective,
    LanguageModelObjective,
    Objective,
    TeacherReader,
)
from refrain.training.recipe import BudgetRecipe, TrainRecipe
from refrain.training.reporting.sample import sample_text

MAX_COUNTED_TOKENS = 20_000_000
"""Longest text file of which n-grams are counted."""


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step."""

    model: LanguageModel | Classifier
    objective: Objective
    tokenizer: Tokenizer
    sample: Callable[[], str] | None


def as_text(corpus: TextCorpus | LabelledCorpus) -> TextCorpus:
    """Take a corpus of texts, or refuse one of labelled examples."""
    if not isinstance(corpus, TextCorpus):
        raise RecipeError("a language model needs a corpus of texts, not of labelled examples")
    return corpus


def ngram_config(recipe: TrainRecipe, tokenizer: Tokenizer) -> NGramConfig:
    """Return the shape of a recipe's n-gram model.

    Raises
    ------
    RecipeError
        If it describes an impossible model.
    """
    fixed = {"boundary_id": tokenizer.eos_id, "unk_id": tokenizer.unk_id}
    try:
        return NGramConfig(vocab_size=tokenizer.vocab_size, **fixed, **recipe.model)
    except (TypeError, ConfigError) as error:
        raise RecipeError(f"[model] {error}") from error


def train_tokenizer(recipe: TrainRecipe, texts: Sequence[str]) -> Tokenizer:
    """Learn the recipe's vocabulary from training texts."""
    return Tokenizer.train(
        recipe.tokenizer.kind,
        texts,
        vocab_size=recipe.tokenizer.vocab_size,
        min_count=recipe.tokenizer.min_count,
    )


def prepare(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    device: torch.device,
    processes: Processes = ALONE,
) -> Prepared:
    """Make tokenizer, model and batches of what a corpus can teach.

    Raises
    ------
    RecipeError
        If the recipe is for another task or describes an impossible model.
    """
    if isinstance(corpus, TextCorpus):
        return prepare_language_model(recipe, corpus, device, processes)
    return prepare_classifier(recipe, corpus, device)


def prepare_language_model(
    recipe: TrainRecipe, corpus: TextCorpus, device: torch.device, processes: Processes = ALONE
) -> Prepared:
    """Make tokenizer, model and windows of a language model.

    Raises
    ------
    RecipeError
        If the recipe is for another task or describes an impossible model.
    """
    if recipe.task != "language_model":
        raise RecipeError(f"a {recipe.task} needs labelled examples, not a corpus of texts")
    teacher = None
    if recipe.distillation.teacher:
        teacher = read_language_model(recipe.distillation.teacher, "distillation.teacher")
    tokenizer = teacher.tokenizer if teacher else tokenizer_for(recipe, corpus)
    try:
        config = LanguageModelConfig(vocab_size=tokenizer.vocab_size, **recipe.model)
    except (ConfigError, TypeError) as error:
        raise RecipeError(f"[model] {error}") from error
    model = LanguageModel(config).to(device)
    if recipe.card.baseline_order and isinstance(corpus, TextFileCorpus):
        documents_to_count(corpus, tokenizer)
    ids, counts_V = training_tokens(corpus, tokenizer)
    start_from_frequencies(model, counts_V)
    windows = partial(_windows, recipe.budget, corpus.unit, tokenizer.eos_id)
    train = windows(ids, recipe.seed)
    if recipe.budget.max_windows:
        train = FirstWindows(train, recipe.budget.max_windows)
    validation = windows(tokenizer.encode_batch(corpus.documents["validation"]))
    if processes.size > 1:
        train = OwnWindows(train, processes, recipe.seed)
        validation = OwnWindows(validation, processes)
    objective = LanguageModelObjective(
        model,
        train,
        validation,
        device,
        recipe.optimizer,
        teacher_reader(teacher, recipe.distillation.weight, device) if teacher else None,
        processes,
    )

    def sample() -> str:
        model.eval()
        text = sample_text(model, tokenizer, recipe.sample_prompt)
        model.train()
        return text

    return Prepared(model, objective, tokenizer, sample)


def _windows(
    budget: BudgetRecipe, unit: str, boundary_id: int, ids: Any, seed: int | None = None
) -> WindowSource:
    """Cut token ids to windows: of one long text, or of documents.

    Raises
    ------
    RecipeError
        If documents are to be cut as only one long text can be.
    """
    cut: Callable[..., WindowSource] = DocumentWindows
    if unit == "stream":
        cut = partial(
            StreamWindows, window_jitter=budget.window_jitter, restart_rate=budget.restart_rate
        )
    elif budget.window_jitter:
        raise RecipeError(
            "budget.window_jitter is for one long text, not for documents: leave it at 0"
        )
    return cut(
        ids,
        boundary_id=boundary_id,
        batch_size=budget.batch_size,
        window=budget.window,
        seed=seed,
    )


def tokenizer_for(recipe: TrainRecipe, corpus: TextCorpus) -> Tokenizer:
    """Learn the recipe's vocabulary from the training part of a corpus, or take that of an earlier run."""
    if isinstance(corpus, TextFileCorpus):
        return tokenizer_of(corpus, recipe.tokenizer)
    return train_tokenizer(recipe, corpus.documents["train"])


def training_tokens(
    corpus: TextCorpus, tokenizer: Tokenizer
) -> tuple[Sequence[Sequence[int]] | TokenStream, NDArray[np.int64]]:
    """Return the token ids of the training part, and how often each token follows another, [V]."""
    if isinstance(corpus, TextFileCorpus):
        tokens = tokens_of(corpus, tokenizer)
        return tokens.stream, tokens.counts_V
    documents = tokenizer.encode_batch(corpus.documents["train"])
    stream = stream_of(documents, tokenizer.eos_id)
    return documents, np.bincount(stream[1:], minlength=tokenizer.vocab_size)


def documents_to_count(corpus: TextCorpus, tokenizer: Tokenizer) -> Sequence[Sequence[int]]:
    """Return the training documents for n-grams, which are counted in memory.

    Raises
    ------
    RecipeError
        If a text file has too many tokens for that.
    """
    ids, counts_V = training_tokens(corpus, tokenizer)
    if not isinstance(ids, np.ndarray):
        return ids
    num_tokens = int(counts_V.sum())
    if num_tokens > MAX_COUNTED_TOKENS:
        raise RecipeError(
            f"{num_tokens:,} tokens are too many to count n-grams of, over {MAX_COUNTED_TOKENS:,}; "
            "set card.baseline_order=0, or give a part of the text"
        )
    return [ids[1:-1].tolist()]


@torch.no_grad()
def start_from_frequencies(model: LanguageModel, counts_V: NDArray[np.int64]) -> None:
    """Set the output bias to the log-frequencies of the tokens, so that the first loss is the unigram entropy.

    Left to learn them, a tied embedding under Adam is first pushed as a whole along the mean feature, which
    wipes out the differences between rare words: measured on one megabyte of Shakespeare's words after 262
    steps, a perplexity of 278 against 122 with the output untied.
    """
    raised_V = 1 + torch.from_numpy(counts_V).float()
    model.output_bias.copy_((raised_V / raised_V.sum()).log())


def prepare_classifier(
    recipe: TrainRecipe, corpus: LabelledCorpus, device: torch.device
) -> Prepared:
    """Make tokenizer, model and batches of a classifier.

    Raises
    ------
    RecipeError
        If the recipe is for another task or describes an impossible model.
    """
    if recipe.task != "classifier":
        raise RecipeError(f"a {recipe.task} needs a corpus of texts, not labelled examples")
    pretrained = read_language_model(recipe.start_from, "start_from") if recipe.start_from else None
    if pretrained is None:
        tokenizer = train_tokenizer(recipe, [example.text for example in corpus.examples["train"]])
    else:
        tokenizer = pretrained.tokenizer
    try:
        config = ClassifierConfig(
            vocab_size=tokenizer.vocab_size,
            labels=corpus.labels,
            label_scores=corpus.label_scores,
            **recipe.model,
        )
    except (ConfigError, TypeError) as error:
        raise RecipeError(f"[model] {error}") from error
    model = Classifier(config).to(device)
    if pretrained is not None:
        copy_pretrained(pretrained, model)

    def batches(split: Split, seed: int | None) -> LabelledBatches:
        examples = corpus.examples[split]
        return LabelledBatches(
            tokenizer.encode_batch([example.text for example in examples]),
            [example.label for example in examples],
            boundary_id=tokenizer.eos_id,
            batch_size=recipe.budget.batch_size,
            max_length=recipe.budget.window,
            seed=seed,
        )

    objective = ClassifierObjective(
        model, batches("train", recipe.seed), batches("validation", None), device
    )
    return Prepared(model, objective, tokenizer, None)


def teacher_reader(teacher: Checkpoint, share: float, device: torch.device) -> TeacherReader:
    """Make the reader of a teacher's checkpoint."""
    assert isinstance(teacher.model, LanguageModel)
    return TeacherReader(teacher.model, share, device)


def read_language_model(directory: str, key: str) -> Checkpoint:
    """Read the language model that a recipe's key names.

    Raises
    ------
    RecipeError
        If the checkpoint is no recurrent language model.
    """
    checkpoint = load_checkpoint(Path(directory))
    if not isinstance(checkpoint.model, LanguageModel):
        raise RecipeError(
            f"{key}: {directory} is a {checkpoint.task}, not a recurrent language model"
        )
    return checkpoint


@torch.no_grad()
def copy_pretrained(pretrained: Checkpoint, model: Classifier) -> None:
    """Copy embedding and first layer; a stack of two directions starts its forward one from it.

    Raises
    ------
    RecipeError
        If the sizes differ.
    """
    source = pretrained.model
    assert isinstance(source, LanguageModel)
    stack = model.stack
    target = stack.forward_layers if isinstance(stack, BidirectionalStack) else stack.layers
    try:
        model.embedding.load_state_dict(source.embedding.state_dict())
        target[0].load_state_dict(source.stack.layers[0].state_dict())
    except RuntimeError as error:
        raise RecipeError(f"start_from: {pretrained.name} has other sizes: {error}") from error
