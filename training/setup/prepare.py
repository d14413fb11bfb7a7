"""Recipe and corpus to everything that a run needs before its first step."""

from __future__ import annotations

import torch

from refrain.training.data.corpus import LabelledCorpus, TextCorpus
from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.setup.classifier import prepare_classifier
from refrain.training.setup.language_model import (
    prepare_language_model,
)
from refrain.training.setup.prepared import Prepared


def prepare(
    recipe: TrainRecipe,
    corpus: TextCorpus | LabelledCorpus,
    device: torch.device,
    world: World = SINGLE_PROCESS,
) -> Prepared:
    """Make tokenizer, model and batches of what a corpus can teach.

    Raises
    ------
    RecipeError
        If the recipe is for another task or describes an impossible model.
    """
    if isinstance(corpus, TextCorpus):
        return prepare_language_model(recipe, corpus, device, world)
    return prepare_classifier(recipe, corpus, device)
