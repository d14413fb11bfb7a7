"""The words of a vocabulary, found by their first letters."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from refrain.models.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class WordIndex:
    """The words of a vocabulary in the order of their surfaces, without the space before each."""

    tokenizer: Tokenizer
    surfaces: list[str]
    token_ids: list[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> WordIndex:
        """Sort a vocabulary."""
        special = (tokenizer.unk_id, tokenizer.eos_id)
        words = [i for i in range(tokenizer.vocab_size) if i not in special]
        pairs = sorted((tokenizer.surface(i).lstrip(" "), i) for i in words)
        return cls(
            tokenizer, [surface for surface, _ in pairs], [token_id for _, token_id in pairs]
        )

    def starting_with(self, letters: str) -> list[int]:
        """Return the ids of the tokens that begin with these letters."""
        first = bisect_left(self.surfaces, letters)
        last = bisect_left(self.surfaces, letters + "\U0010ffff")
        return self.token_ids[first:last]

    def begins_word(self, letters: str) -> bool:
        """Return whether some text without an unknown token begins with a word that begins with these letters."""
        encoding, unk_id = self.tokenizer.encode(letters), self.tokenizer.unk_id
        if not encoding.num_unknown:
            return True
        *before, last = encoding.ids
        begins_last = letters[encoding.offsets[-1][0] :]
        if last == unk_id and unk_id not in before:
            for spelling in {begins_last, begins_last.lower(), begins_last.capitalize()}:
                if self.starting_with(spelling):
                    return True
        return any(self._completes(letters, clitic) for clitic in self._clitics)

    @cached_property
    def _clitics(self) -> list[str]:
        return [surface for surface in self.surfaces if "'" in surface]

    def _completes(self, letters: str, clitic: str) -> bool:
        """Return whether letters become a known word with the rest of "n't" or another that is cut off its word."""
        for num_letters in range(1, min(len(clitic), len(letters))):
            if letters.endswith(clitic[:num_letters]):
                whole = letters[: len(letters) - num_letters] + clitic
                if not self.tokenizer.encode(whole).num_unknown:
                    return True
        return False
