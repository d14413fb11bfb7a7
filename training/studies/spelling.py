"""Vocabularies without an unknown token: what they lack is spelled out.

A piece of text (a word, a character) that the vocabulary has is one token. A word that it lacks is its characters, and
a character that it lacks is its UTF-8 bytes, so that every text has tokens and none is cheap for being rare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from refrain.models.text.tokenizer import Tokenizer
from refrain.training.reporting.optional_package import require

Cut = Callable[[str], Sequence[str]]


class Vocabulary(Protocol):
    """What turns text to token ids; token `eos_id` ends every text."""

    eos_id: int

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts to token ids."""
        ...


class SpellingVocabulary:
    """Pieces, characters, bytes.

    Parameters
    ----------
    cut
        Cuts a text to pieces that make up the text again.
    max_pieces
        How many of the most frequent pieces of more than one character become tokens.
    min_count
        Rarer characters of the training texts are spelled in bytes too, so that these are learned.
    """

    eos_id = 0

    def __init__(
        self, cut: Cut, texts: Iterable[str], *, max_pieces: int, min_count: int = 2
    ) -> None:
        self._cut = cut
        pieces: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for text in texts:
            pieces.update(piece for piece in cut(text) if len(piece) > 1)
            characters.update(text)
        frequent = sorted(pieces, key=lambda piece: (-pieces[piece], piece))[:max_pieces]
        known = sorted(sign for sign, count in characters.items() if count >= min_count)
        self.tokens: list[bytes] = [b"", *(bytes([byte]) for byte in range(256))]
        self._ids: dict[str, int] = {}
        for token in (*known, *frequent):
            self._ids[token] = len(self.tokens)
            self.tokens.append(token.encode())

    @property
    def vocab_size(self) -> int:
        """Number of tokens V: the end of a text, 256 bytes, characters, pieces."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Turn a text to token ids."""
        return [token for piece in self._cut(text) for token in self._spell(piece)]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts to token ids."""
        return [self.encode(text) for text in texts]

    def _spell(self, piece: str) -> list[int]:
        if piece in self._ids:
            return [self._ids[piece]]
        if len(piece) > 1:
            return [token for sign in piece for token in self._spell(sign)]
        return [1 + byte for byte in piece.encode()]


def characters(texts: Sequence[str]) -> SpellingVocabulary:
    """Make every character a token."""
    return SpellingVocabulary(list, texts, max_pieces=0)


def words(texts: Sequence[str], vocab_size: int) -> SpellingVocabulary:
    """Make the words that jieba finds tokens, and the characters to spell the others.

    `rjieba` is jieba's algorithm and dictionary in Rust; the original has had no release since 2020.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    cut = require("rjieba", "studies").cut
    num_others = SpellingVocabulary(cut, texts, max_pieces=0).vocab_size
    return SpellingVocabulary(cut, texts, max_pieces=max(0, vocab_size - num_others))


def byte_pairs(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """Learn byte pairs, which start from bytes and so lack nothing."""
    return Tokenizer.train("bpe", texts, vocab_size=vocab_size)
