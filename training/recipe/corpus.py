"""The parts of a recipe about text: the corpus, and how it is cut to tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from refrain.models.text.splitter import TokenizerKind
from refrain.training.recipe.checks import require


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which corpus to read.

    Attributes
    ----------
    dataset
        A name of the dataset registry (`refrain datasets`); empty when `text` is given.
    text
        A text file of one's own.
    """

    dataset: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """How to cut text; see `refrain.models.text.tokenizer`.

    Attributes
    ----------
    kind
        "characters", "words", "bpe", or "whitespace" for text that is split to words already.
    vocab_size
        Most tokens to keep, 0 for all; of "bpe" the size itself.
    min_count
        Rarer tokens become `<unk>`.
    """

    kind: TokenizerKind = "words"
    vocab_size: int = 0
    min_count: int = 1

    def __post_init__(self) -> None:
        kinds = get_args(TokenizerKind)
        require(self.kind in kinds, f"tokenizer.kind must be one of {', '.join(kinds)}")
        require(
            self.vocab_size == 0 or self.vocab_size > 2,
            "tokenizer.vocab_size must be over 2, or 0 for every token",
        )
        require(self.min_count > 0, "tokenizer.min_count must be positive")
