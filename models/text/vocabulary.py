"""Vocabularies learned from texts, in bounded memory but for byte pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial

from tokenizers import AddedToken, decoders, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE, WordLevel

from refrain.models.errors import TokenizerError
from refrain.models.text.pieces import count_tokens
from refrain.models.text.splitter import EOS, UNK, TokenizerKind, make_splitter


def learn(
    kind: TokenizerKind, texts: Iterable[str], vocab_size: int, min_count: int
) -> FastTokenizer:
    """Learn the vocabulary of one kind; see `Tokenizer.train`."""
    if kind == "bpe":
        return _learn_bpe(texts, vocab_size or 8_000, min_count)
    fast = make_splitter(kind)
    counts = count_tokens(texts, partial(_cut, fast), by_character=kind == "characters")
    fast.model = WordLevel(_number(counts, vocab_size, min_count), unk_token=UNK)
    return fast


def _learn_bpe(texts: Iterable[str], vocab_size: int, min_count: int) -> FastTokenizer:
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


def _cut(splitter: FastTokenizer, text: str) -> tuple[str, ...]:
    """Cut a text to tokens, whatever the vocabulary."""
    if splitter.normalizer is not None:
        text = splitter.normalizer.normalize_str(text)
    return tuple(token for token, _ in splitter.pre_tokenizer.pre_tokenize_str(text))


def _number(counts: Counter[str], vocab_size: int, min_count: int) -> dict[str, int]:
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


def byte_of_sign() -> dict[str, int]:
    """Return the byte that each sign of a byte-level vocabulary stands for (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    signs = {chr(byte): byte for byte in printable}
    return signs | {chr(256 + index): byte for index, byte in enumerate(others)}
