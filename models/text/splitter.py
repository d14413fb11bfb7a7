"""How each kind of tokenizer splits a text to tokens, whatever its vocabulary."""

from __future__ import annotations

import json
from typing import Literal

from tokenizers import Regex, decoders, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE, WordLevel

TokenizerKind = Literal["characters", "words", "bpe", "whitespace"]

UNK, EOS = "<unk>", "<eos>"

# A newline, an unknown word of the corpus, an English clitic, a word or a number with the space before it,
# one other sign, or a space on its own.
WORD_PATTERN = (
    r"\n| ?<unk>|'(?:s|t|re|ve|m|ll|d)(?!\p{L})|n't(?!\p{L})"
    r"| ?\p{L}[\p{L}\p{M}]*?(?=n't(?!\p{L}))| ?\p{L}[\p{L}\p{M}]*| ?\p{N}+| ?[^\s\p{L}\p{N}]| "
)


def make_splitter(kind: TokenizerKind) -> FastTokenizer:
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


def cuts_like(fast: FastTokenizer, kind: TokenizerKind) -> bool:
    """Return whether a tokenizer cuts text as one of a kind does."""
    if kind == "bpe":
        return isinstance(fast.model, BPE) and isinstance(
            fast.pre_tokenizer, pre_tokenizers.ByteLevel
        )
    ours, its = json.loads(make_splitter(kind).to_str()), json.loads(fast.to_str())
    return all(ours[part] == its[part] for part in ("normalizer", "pre_tokenizer"))
