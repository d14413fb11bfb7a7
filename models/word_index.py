"""The words of a vocabulary, found by their first letters."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class WordIndex:
    """The words of a vocabulary in the order of their surfaces, without the space before each."""

    surfaces: list[str]
    token_ids: list[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> WordIndex:
        """Sort a vocabulary."""
        special = (tokenizer.unk_id, tokenizer.eos_id)
        words = [i for i in range(tokenizer.vocab_size) if i not in special]
        pairs = sorted((tokenizer.surface(i).lstrip(" "), i) for i in words)
        return cls([surface for surface, _ in pairs], [token_id for _, token_id in pairs])

    def starting_with(self, letters: str) -> list[int]:
        """Return the ids of the tokens that begin with these letters."""
        first = bisect_left(self.surfaces, letters)
        last = bisect_left(self.surfaces, letters + "\U0010ffff")
        return self.token_ids[first:last]
