"""An n-gram model before it is counted: its shape and its documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refrain.models.config import NGramConfig
from refrain.models.errors import ConfigError
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import TextCorpus
from refrain.training.errors import RecipeError
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.setup.tokens import training_tokens

MAX_COUNTED_TOKENS = 20_000_000
"""Longest text file of which n-grams are counted."""


def ngram_config(recipe: TrainRecipe, tokenizer: Tokenizer) -> NGramConfig:
    """Return the shape of a recipe's n-gram model.

    Raises
    ------
    RecipeError
        If it describes an impossible model.
    """
    fixed = {"eos_id": tokenizer.eos_id, "unk_id": tokenizer.unk_id}
    try:
        return NGramConfig(vocab_size=tokenizer.vocab_size, **fixed, **recipe.model)
    except (TypeError, ConfigError) as error:
        raise RecipeError(f"[model] {error}") from error


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
