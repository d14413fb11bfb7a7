"""A classifier before its first step: tokenizer, model, batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from refrain.models.checkpoint import Checkpoint
from refrain.models.config import ClassifierConfig
from refrain.models.errors import ConfigError
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.networks.recurrent import BidirectionalStack
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.batches.labelled_batches import LabelledBatches
from refrain.training.data.corpus import Example, LabelledCorpus
from refrain.training.errors import RecipeError
from refrain.training.optimize.objectives.classifier import ClassifierObjective
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.setup.prepared import Prepared
from refrain.training.setup.pretrained import read_language_model
from refrain.training.setup.tokens import train_tokenizer


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
    model = _model(recipe, corpus, tokenizer).to(device)
    if pretrained is not None:
        copy_pretrained(pretrained, model)
    train = _batches(recipe, corpus.examples["train"], tokenizer, recipe.seed)
    validation = _batches(recipe, corpus.examples["validation"], tokenizer, None)
    objective = ClassifierObjective(model, train, validation, device)
    return Prepared(model, objective, tokenizer, None)


def _model(recipe: TrainRecipe, corpus: LabelledCorpus, tokenizer: Tokenizer) -> Classifier:
    try:
        config = ClassifierConfig(
            vocab_size=tokenizer.vocab_size,
            labels=corpus.labels,
            label_scores=corpus.label_scores,
            **recipe.model,
        )
    except (ConfigError, TypeError) as error:
        raise RecipeError(f"[model] {error}") from error
    return Classifier(config)


def _batches(
    recipe: TrainRecipe, examples: Sequence[Example], tokenizer: Tokenizer, seed: int | None
) -> LabelledBatches:
    return LabelledBatches(
        tokenizer.encode_batch([example.text for example in examples]),
        [example.label for example in examples],
        eos_id=tokenizer.eos_id,
        batch_size=recipe.budget.batch_size,
        max_length=recipe.budget.window,
        seed=seed,
    )


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
