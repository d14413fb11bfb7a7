"""Text to token ids and back: a thin face on the `tokenizers` library.

Every tokenizer has `<unk>` as token 0 and `<eos>`, the boundary between texts, as token 1.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE, WordLevel

from refrain.models.errors import TokenizerError
from refrain.models.text.pieces import PieceMemo, count_tokens, pieces

TokenizerKind = Literal["characters", "words", "bpe", "whitespace"]

UNK, EOS = "<unk>", "<eos>"
TEXTS_AT_ONCE = 1_024
"""Texts that the library encodes together: what it tells of each token beside its id takes much memory."""
MAX_SURFACE = 1_000
"""Characters above which no text is one token."""

# A newline, an unknown word of the corpus, an English clitic, a word or a number with the space before it,
# one other sign, or a space on its own.
WORD_PATTERN = (
    r"\n| ?<unk>|'(?:s|t|re|ve|m|ll|d)(?!\p{L})|n't(?!\p{L})"
    r"| ?\p{L}[\p{L}\p{M}]*?(?=n't(?!\p{L}))| ?\p{L}[\p{L}\p{M}]*| ?\p{N}+| ?[^\s\p{L}\p{N}]| "
)


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
        if not _cuts_like(fast, kind):
            raise TokenizerError(f"this tokenizer does not cut text to {kind}")
        self.kind = kind
        self._fast = fast
        self._byte_of = _byte_of()
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
        if kind == "bpe":
            fast = _byte_level_bpe(texts, vocab_size or 8_000, min_count)
        else:
            fast = _splitter(kind)
            counts = count_tokens(texts, partial(_cut, fast), by_character=kind == "characters")
            fast.model = WordLevel(_vocabulary(counts, vocab_size, min_count), unk_token=UNK)
        return cls(fast, kind)

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
        text: str = self._fast.to_str(pretty=False)
        return text

    def special_names(self) -> dict[str, str | bool]:
        """Return the `tokenizer_config.json` by which the `transformers` library knows what the special tokens are."""
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": EOS,
            "eos_token": EOS,
            "unk_token": UNK,
            "clean_up_tokenization_spaces": False,
        }

    @property
    def vocab_size(self) -> int:
        """Number of tokens V."""
        size: int = self._fast.get_vocab_size()
        return size

    def encode(self, text: str) -> Encoding:
        """Turn a text to token ids, without a boundary at either end."""
        encoding = self._fast.encode(text, add_special_tokens=False)
        ids, offsets = list(encoding.ids), list(encoding.offsets)
        if self.kind == "words":
            self._find_other_spelling(text, ids, offsets)
        return Encoding(ids, offsets, ids.count(self.unk_id))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts to token ids on all cores: what training reads."""
        if self.kind == "words":
            return [self.encode(text).ids for text in texts]
        ids: list[list[int]] = []
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[first : first + TEXTS_AT_ONCE]
            ids += [e.ids for e in self._fast.encode_batch_fast(some, add_special_tokens=False)]
        return ids

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[NDArray[np.int64]]:
        """Turn the blocks of a long text to token ids, in bounded memory.

        No token may reach from one block to the next. The ids are those of the whole text, several times as fast as
        `encode` finds them.
        """
        memo = PieceMemo(lambda piece: tuple(self.encode(piece).ids))
        for block in blocks:
            cut = pieces(block, by_character=self.kind == "characters")
            yield np.fromiter(memo.over(cut), np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """Turn token ids to text; the boundary token gives nothing."""
        return self._join([token_id for token_id in ids if token_id != self.eos_id])

    def decode_with_names(self, ids: Sequence[int]) -> str:
        """Turn token ids to text in which special tokens are shown by their names."""
        return self._join(ids)

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
        return self._join([token_id])

    def bytes_of(self, token_id: int) -> bytes:
        """Return the bytes of a token of a byte-level vocabulary; of a special token those of its name."""
        sign = self._signs[token_id]
        if token_id == self.unk_id:
            return sign.encode()
        return bytes(self._byte_of[character] for character in sign)

    def id_of(self, text: str) -> int | None:
        """Return the token that a text is, if it is one."""
        if self.kind in ("characters", "whitespace") and text not in (UNK, EOS):
            token_id: int | None = self._fast.token_to_id(text)
            return token_id
        ids = self.encode(text).ids if len(text) <= MAX_SURFACE else []
        return ids[0] if len(ids) == 1 and ids[0] != self.unk_id else None

    def stream(self, *, follows_text: bool = False, drops_space: bool = False) -> DecodeStream:
        """Start to decode a text that arrives token by token; see `DecodeStream`."""
        return DecodeStream(self, follows_text=follows_text, drops_space=drops_space)

    def _join(self, ids: Sequence[int]) -> str:
        if self.kind == "bpe":
            text: str = self._fast.decode(ids, skip_special_tokens=False)
            return text
        between = " " if self.kind == "whitespace" else ""
        return between.join(map(self._signs.__getitem__, ids))

    def _find_other_spelling(
        self, text: str, ids: list[int], offsets: list[tuple[int, int]]
    ) -> None:
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


class DecodeStream:
    """Text that grows token by token; half a character is held back until it is whole.

    Parameters
    ----------
    follows_text
        Whether text came before, from which words that are split by white space are to be kept apart.
    drops_space
        Whether a space at its beginning stands already at the end of that text.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, follows_text: bool = False, drops_space: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._drops_space = drops_space
        self._needs_space = follows_text and tokenizer.kind == "whitespace"
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Sequence[int]) -> str:
        """Take more tokens; return the text that they finished, perhaps none."""
        ids = [token_id for token_id in ids if token_id != self._tokenizer.eos_id]
        if not ids:
            return ""
        if self._tokenizer.kind == "bpe":
            text = self._bytes.decode(b"".join(map(self._tokenizer.bytes_of, ids)))
        else:
            text = self._tokenizer._join(ids)
            if self._needs_space:
                text = " " + text
            self._needs_space = self._tokenizer.kind == "whitespace"
        if self._drops_space and text:
            self._drops_space = False
            text = text.removeprefix(" ")
        return text

    def finish(self) -> str:
        """Return what is left at the end: half a character becomes U+FFFD."""
        return self._bytes.decode(b"", final=True)


def _byte_of() -> dict[str, int]:
    """Return the byte that each sign of a byte-level vocabulary stands for (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    signs = {chr(byte): byte for byte in printable}
    return signs | {chr(256 + place): byte for place, byte in enumerate(others)}


def _cuts_like(fast: FastTokenizer, kind: TokenizerKind) -> bool:
    """Return whether a tokenizer cuts text as one of a kind does."""
    if kind == "bpe":
        return isinstance(fast.model, BPE) and isinstance(
            fast.pre_tokenizer, pre_tokenizers.ByteLevel
        )
    ours, its = json.loads(_splitter(kind).to_str()), json.loads(fast.to_str())
    return all(ours[part] == its[part] for part in ("normalizer", "pre_tokenizer"))


def _byte_level_bpe(texts: Iterable[str], vocab_size: int, min_count: int) -> FastTokenizer:
    """Learn byte pairs (Sennrich et al. 2016) over bytes, so that no text is unknown."""
    fast = FastTokenizer(BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_count,
        special_tokens=[AddedToken(UNK, special=True), AddedToken(EOS, special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator(texts, trainer)
    return fast


def _splitter(kind: TokenizerKind) -> FastTokenizer:
    """Set up how a text is cut to tokens, with no vocabulary yet."""
    fast = FastTokenizer(WordLevel({UNK: 0, EOS: 1}, unk_token=UNK))
    match kind:
        case "characters":
            fast.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
            fast.decoder = decoders.Fuse()
        case "words":
            fast.normalizer = normalizers.Replace(Regex(r"[^\S\n]+"), " ")
            fast.pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated")
            fast.decoder = decoders.Fuse()
        case "whitespace":
            fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return fast


def _cut(splitter: FastTokenizer, text: str) -> tuple[str, ...]:
    """Cut a text to tokens, whatever the vocabulary."""
    if splitter.normalizer is not None:
        text = splitter.normalizer.normalize_str(text)
    return tuple(token for token, _ in splitter.pre_tokenizer.pre_tokenize_str(text))


def _vocabulary(counts: Counter[str], vocab_size: int, min_count: int) -> dict[str, int]:
    """Number tokens, most frequent first, ties by spelling.

    Raises
    ------
    TokenizerError
        If no token occurs `min_count` times.
    """
    for special in (UNK, f" {UNK}", EOS):
        counts.pop(special, None)
    tokens = sorted((t for t, n in counts.items() if n >= min_count), key=lambda t: (-counts[t], t))
    if not tokens:
        raise TokenizerError(f"the text holds no token that occurs {min_count} times: is it empty?")
    kept = tokens[: vocab_size - 2] if vocab_size else tokens
    return {token: index for index, token in enumerate((UNK, EOS, *kept))}
