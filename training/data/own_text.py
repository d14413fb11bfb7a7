"""A person's own text file: how it is split, and a recipe that fits its length and ten minutes on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refrain.models.text.language import recognise_language
from refrain.models.text.splitter import TokenizerKind
from refrain.training.data.corpus import Split, TextFileCorpus
from refrain.training.data.text_file import TextFile, TextPart
from refrain.training.errors import EmptyCorpusError
from refrain.training.recipe.parsing import make_recipe
from refrain.training.recipe.train_recipe import TrainRecipe

MEASURED_SHARE = 0.05
MAX_MEASURED = 1_000_000
"""Characters of validation, and of test, at most: more would add nothing, and take long to measure."""
CHARACTERS_A_TOKEN: dict[TokenizerKind, float] = {"characters": 1.0, "words": 5.0, "bpe": 3.5}
TOKENS_A_RUN = 3_000_000
"""Tokens read in one run, over all epochs, unless the recipe sets another number."""
NUM_SAMPLED = 4_000
"""Words that a prediction is normalised over while training, where there are more."""
FEW_TOKENS = 20_000
"""A text of fewer is learnt by heart."""

MODEL: dict[str, Any] = {
    "cell": "lstm",
    "num_layers": 2,
    "embedding_size": 192,
    "hidden_size": 384,
    "input_dropout": 0.2,
    "hidden_dropout": 0.2,
    "output_dropout": 0.3,
}


def shortage(num_characters: int, tokenizer: TokenizerKind) -> str:
    """Describe what too short a text lacks; nothing of one that is long enough."""
    num_tokens = round(num_characters / CHARACTERS_A_TOKEN[tokenizer])
    if num_tokens >= FEW_TOKENS:
        return ""
    enough = round(FEW_TOKENS * CHARACTERS_A_TOKEN[tokenizer])
    return (
        f"{num_characters:,} characters, some {num_tokens:,} tokens, are little: the model will learn them by heart, "
        f"and figures measured on the twentieth part kept aside will be rough; give {enough:,} characters or more, "
        "better ten times that"
    )


def split_file(file: TextFile) -> dict[Split, TextPart]:
    """Split a text to a beginning to train on and two ends to measure on, at line borders where there are some.

    Raises
    ------
    EmptyCorpusError
        If the text is too short to leave something in each part.
    """
    length = file.num_characters
    train = max(round(length * (1 - MEASURED_SHARE - MEASURED_SHARE)), length - 2 * MAX_MEASURED)
    first = _border(file, train)
    test = max(round(length * (1 - MEASURED_SHARE)), length - MAX_MEASURED)
    second = _border(file, max(first + 1, test))
    parts: dict[Split, TextPart] = {
        "train": TextPart(file, 0, first),
        "validation": TextPart(file, first, second),
        "test": TextPart(file, second, length),
    }
    if any(part.is_blank() for part in parts.values()):
        raise EmptyCorpusError(
            f"the text is too short to train on: {length} characters leave nothing to measure on when a twentieth "
            "is kept aside for validation and another for test; give at least a few lines"
        )
    return {name: part.without_newlines() for name, part in parts.items()}


def _border(file: TextFile, near: int) -> int:
    """Return the line border after `near`, if one comes soon; else `near` itself."""
    reach = max(1, min(file.num_characters // 50, MAX_MEASURED * 2 // 5))
    newline = file.read(near, near + reach).find("\n")
    return near if newline < 0 else near + newline + 1


def own_text_corpus(file: TextFile, cache: Path) -> TextFileCorpus:
    """Make the corpus of a text file; its vocabulary and token ids are to be kept in `cache`.

    Raises
    ------
    EmptyCorpusError
        If the text is too short to leave something in each part.
    """
    parts = split_file(file)
    train = parts.pop("train")
    ends = {name: [part.read()] for name, part in parts.items()}
    return TextFileCorpus(ends, unit="stream", train=train, cache=cache)


def recipe_for_text(
    file: TextFile, tokenizer: TokenizerKind, overrides: Sequence[str]
) -> TrainRecipe:
    """Make the recipe: two layers of LSTM, many passes over a short text, few over a long one.

    A teacher predicts every word, and pieces of bpe are not numbered by frequency: there none are sampled.
    """
    values = _values(file, tokenizer)
    recipe = make_recipe(values, overrides)
    if recipe.tokenizer.kind == "bpe" or recipe.distillation.teacher:
        return recipe
    values["optimizer"]["num_sampled"] = NUM_SAMPLED
    return make_recipe(values, overrides)


def _values(file: TextFile, tokenizer: TokenizerKind) -> dict[str, Any]:
    """Return the settings that suit a text of this length."""
    path = file.path
    num_tokens = file.num_characters / CHARACTERS_A_TOKEN[tokenizer]
    epochs = min(30, max(1, round(TOKENS_A_RUN / max(1, num_tokens))))
    batch_size = 32 if num_tokens > 200_000 else 8
    return {
        "name": path.stem,
        "data": {"text": str(path)},
        "tokenizer": {
            "kind": tokenizer,
            "vocab_size": 20_000 if tokenizer == "words" else 8_000,
            "min_count": 2 if tokenizer == "words" and num_tokens > 20_000 else 1,
        },
        "model": MODEL,
        "optimizer": {"learning_rate": 4e-3, "weight_decay": 0.01, "clip_norm": 1.0},
        "budget": {"epochs": epochs, "batch_size": batch_size, "window": 64},
        "card": {
            "description": f"A language model of {path.name}.",
            "language": recognise_language(file.read(0, 4000)) or "unknown",
            "license": "that of the text it was trained on",
        },
    }
