"""The configuration of an n-gram model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from refrain.models.config.validation import require, require_positive


@dataclass(frozen=True, kw_only=True)
class NGramConfig:
    """An interpolated modified Kneser-Ney model.

    Attributes
    ----------
    order
        Longest n-gram: 5 looks at the four tokens before.
    eos_id
        The token that stands before and after each text; no history reaches back over it. On disk and in JSON it has
        its former name, `boundary_id`.
    unk_id
        The token of unknown words.
    """

    task: ClassVar[str] = "ngram"

    vocab_size: int
    order: int = 5
    eos_id: int = 1
    unk_id: int = 0

    def __post_init__(self) -> None:
        require_positive(vocab_size=self.vocab_size, order=self.order)
        for name in ("eos_id", "unk_id"):
            token_id = getattr(self, name)
            require(
                0 <= token_id < self.vocab_size, f"{name} {token_id} lies outside the vocabulary"
            )
