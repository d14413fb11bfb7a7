"""Vocabulary and token ids of the training part of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.batches.window import TokenStream, stream_of
from refrain.training.data.corpus import LabelledCorpus, TextCorpus, TextFileCorpus
from refrain.training.data.text_tokens import tokenizer_of, tokens_of
from refrain.training.errors import RecipeError
from refrain.training.recipe.train_recipe import TrainRecipe


def as_text(corpus: TextCorpus | LabelledCorpus) -> TextCorpus:
    """Take a corpus of texts, or refuse one of labelled examples."""
    if not isinstance(corpus, TextCorpus):
        raise RecipeError("a language model needs a corpus of texts, not of labelled examples")
    return corpus


def train_tokenizer(recipe: TrainRecipe, texts: Sequence[str]) -> Tokenizer:
    """Learn the recipe's vocabulary from training texts."""
    return Tokenizer.train(
        recipe.tokenizer.kind,
        texts,
        vocab_size=recipe.tokenizer.vocab_size,
        min_count=recipe.tokenizer.min_count,
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
