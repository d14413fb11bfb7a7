"""Text to token ids and back: a thin face on the `tokenizers` library.

Every tokenizer has `<unk>` as token 0 and `<eos>`, which begins and ends a text, as token 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as FastTokenizer

from refrain.models.errors import TokenizerError
from refrain.models.text.pieces import PieceMemo, pieces
from refrain.models.text.splitter import EOS, UNK, TokenizerKind, cuts_like
from refrain.models.text.vocabulary import byte_of_sign, learn

TEXTS_AT_ONCE = 1_024
"""Texts that the library encodes together: what it returns of each token beside its id takes much memory."""
MAX_SURFACE = 1_000
"""Characters above which no text is one token."""


@dataclass(frozen=True)
class Encoding:
    """A text as token ids.

    Attributes
    ----------
    ids
        One id a token.
    offsets
        Where each token stands in the text, in characters: (start, end).
    num_unknown
        How many of the tokens are `<unk>`.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    num_unknown: int


class Tokenizer:
    """Characters, natural words, byte-level BPE, or words already split by white space.

    In all but "whitespace" the surfaces of the tokens, put one behind the other, are the text: a word brings
    the space before it. Runs of spaces are read as one space in "words".
    """

    unk_id = 0
    eos_id = 1

    def __init__(self, fast: FastTokenizer, kind: TokenizerKind) -> None:
        if kind not in get_args(TokenizerKind):
            raise TokenizerError(
                f"tokenizer must be one of {', '.join(get_args(TokenizerKind))}, not {kind!r}"
            )
        if fast.token_to_id(UNK) != self.unk_id or fast.token_to_id(EOS) != self.eos_id:
            raise TokenizerError(f"a vocabulary must begin with {UNK} and {EOS}")
        vocabulary = fast.get_vocab()
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise TokenizerError("the ids of a vocabulary must be 0, 1, 2, ... without a gap")
        if not cuts_like(fast, kind):
            raise TokenizerError(f"this tokenizer does not cut text to {kind}")
        self.kind = kind
        self._fast = fast
        self._byte_of = byte_of_sign()
        self._signs = sorted(vocabulary, key=vocabulary.__getitem__)

    @classmethod
    def train(
        cls, kind: TokenizerKind, texts: Iterable[str], *, vocab_size: int = 0, min_count: int = 1
    ) -> Tokenizer:
        """Learn a vocabulary from texts, or from the blocks of one, in bounded memory but for BPE.

        Parameters
        ----------
        vocab_size
            Most tokens to keep, special ones included; 0 keeps all (for BPE: 8,000).
        min_count
            Rarer tokens are left out.

        Raises
        ------
        TokenizerError
            If the texts hold no token at all.
        """
        return cls(learn(kind, texts, vocab_size, min_count), kind)

    @classmethod
    def from_json(cls, text: str, kind: TokenizerKind) -> Tokenizer:
        """Read what `to_json` wrote.

        Raises
        ------
        TokenizerError
            If the text is no tokenizer, or not one of this project.
        """
        try:
            fast = FastTokenizer.from_str(text)
        except Exception as error:
            raise TokenizerError(f"not a tokenizer: {error}") from error
        return cls(fast, kind)

    def to_json(self) -> str:
        """Return the `tokenizer.json` that the `tokenizers` library loads unchanged."""
        return str(self._fast.to_str(pretty=False))

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        return int(self._fast.get_vocab_size())

    def encode(self, text: str) -> Encoding:
        """Return a text as token ids, without `<eos>` at either end."""
        encoding = self._fast.encode(text, add_special_tokens=False)
        ids, offsets = list(encoding.ids), list(encoding.offsets)
        if self.kind == "words":
            self._respell(text, ids, offsets)
        return Encoding(ids, offsets, ids.count(self.unk_id))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return texts as token ids, on all cores: what training reads."""
        if self.kind == "words":
            return [self.encode(text).ids for text in texts]
        ids: list[list[int]] = []
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[first : first + TEXTS_AT_ONCE]
            ids += [e.ids for e in self._fast.encode_batch_fast(some, add_special_tokens=False)]
        return ids

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[NDArray[np.int64]]:
        """Yield the token ids of the blocks of a long text, in bounded memory.

        No token may reach from one block to the next. The ids are those of the whole text, several times as fast as
        `encode` finds them.
        """
        memo = PieceMemo(lambda piece: tuple(self.encode(piece).ids))
        for block in blocks:
            cut = pieces(block, by_character=self.kind == "characters")
            yield np.fromiter(memo.over(cut), np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; `<eos>` becomes nothing."""
        return self.decode_with_names([token_id for token_id in ids if token_id != self.eos_id])

    def decode_with_names(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, in which special tokens are shown by their names."""
        if self.kind == "bpe":
            return str(self._fast.decode(ids, skip_special_tokens=False))
        between = " " if self.kind == "whitespace" else ""
        return between.join(map(self._signs.__getitem__, ids))

    def surface(self, token_id: int) -> str:
        r"""What one token looks like on its own, e.g. " the"; no two look alike.

        Special tokens are shown by their names, and bytes that are no whole characters as "bytes:\xe6\x98".
        """
        if token_id in (self.unk_id, self.eos_id):
            return (UNK, EOS)[token_id]
        if self.kind == "bpe":
            packed = self.bytes_of(token_id)
            try:
                return packed.decode()
            except UnicodeDecodeError:
                return "bytes:" + "".join(f"\\x{byte:02x}" for byte in packed)
        return self.decode_with_names([token_id])

    def bytes_of(self, token_id: int) -> bytes:
        """Return the bytes of a token of a byte-level vocabulary; of a special token those of its name."""
        if token_id == self.unk_id:
            return UNK.encode()
        return bytes(self._byte_of[character] for character in self._signs[token_id])

    def id_of(self, text: str) -> int | None:
        """Return the token that a text is, if it is one."""
        if self.kind in ("characters", "whitespace") and text not in (UNK, EOS):
            token_id: int | None = self._fast.token_to_id(text)
            return token_id
        ids = self.encode(text).ids if len(text) <= MAX_SURFACE else []
        return ids[0] if len(ids) == 1 and ids[0] != self.unk_id else None

    def _respell(self, text: str, ids: list[int], offsets: list[tuple[int, int]]) -> None:
        """Look up unknown words: the id of the same word in another case or without its space."""
        for index, (token_id, (start, end)) in enumerate(zip(ids, offsets, strict=True)):
            if token_id == self.unk_id:
                word = text[start:end].strip()
                ids[index] = self._known_id(word, spaced=text[start:end] != word)

    def _known_id(self, word: str, *, spaced: bool) -> int:
        for spelling in (word, word.lower(), word.capitalize()):
            for space in (" ", "") if spaced else ("", " "):
                token_id = self._fast.token_to_id(space + spelling)
                if token_id is not None:
                    return int(token_id)
        return self.unk_id
