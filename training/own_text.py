"""A recipe for a person's own text file: sizes and epochs that fit its length and ten minutes on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.language import recognise_language
from models.tokenizer import TokenizerKind
from training.recipe import TrainRecipe, make_recipe

CHARACTERS_A_TOKEN: dict[TokenizerKind, float] = {"characters": 1.0, "words": 5.0, "bpe": 3.5}
TOKENS_A_RUN = 3_000_000
"""Tokens read in one run, over all epochs, if the recipe is not told otherwise."""

FEW_TOKENS = 20_000
"""A text of fewer is learnt by heart."""


def shortage(text: str, tokenizer: TokenizerKind) -> str:
    """Say what too short a text lacks; nothing of one that is long enough."""
    num_tokens = round(len(text) / CHARACTERS_A_TOKEN[tokenizer])
    if num_tokens >= FEW_TOKENS:
        return ""
    enough = round(FEW_TOKENS * CHARACTERS_A_TOKEN[tokenizer])
    return (
        f"{len(text):,} characters, some {num_tokens:,} tokens, are little: the model will learn them by heart, "
        f"and figures measured on the twentieth part kept aside will be rough; give {enough:,} characters or more, "
        "better ten times that"
    )


def recipe_for_text(
    path: Path, text: str, tokenizer: TokenizerKind, overrides: Sequence[str]
) -> TrainRecipe:
    """Make the recipe: two layers of LSTM, many passes over a short text, few over a long one."""
    num_tokens = len(text) / CHARACTERS_A_TOKEN[tokenizer]
    epochs = min(30, max(1, round(TOKENS_A_RUN / max(1, num_tokens))))
    batch_size = 32 if num_tokens > 200_000 else 8
    values: dict[str, Any] = {
        "name": path.stem,
        "data": {"text": str(path)},
        "tokenizer": {
            "kind": tokenizer,
            "vocab_size": 20_000 if tokenizer == "words" else 8_000,
            "min_count": 2 if tokenizer == "words" and num_tokens > 20_000 else 1,
        },
        "model": {
            "cell": "lstm",
            "num_layers": 2,
            "embedding_size": 192,
            "hidden_size": 384,
            "input_dropout": 0.2,
            "hidden_dropout": 0.2,
            "output_dropout": 0.3,
        },
        "optimizer": {"learning_rate": 4e-3, "weight_decay": 0.01, "clip_norm": 1.0},
        "budget": {"epochs": epochs, "batch_size": batch_size, "window": 64},
        "card": {
            "description": f"A language model of {path.name}.",
            "language": recognise_language(text) or "unknown",
            "license": "that of the text it was trained on",
        },
    }
    return make_recipe(values, overrides)
