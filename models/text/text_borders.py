"""Where texts, words and tokens border on one another, for each kind of tokenizer."""

from __future__ import annotations

import re

from refrain.models.text.splitter import EOS, UNK
from refrain.models.text.tokenizer import Encoding, Tokenizer

MAX_WORD = 200
"""Letters after which a word is taken as it is, however it goes on."""
MAX_BLANKS = 200
"""Blanks before a word that may still become part of its token."""
NAMES = re.compile(f"({UNK}|{EOS})")
NAMES_AMONG_WORDS = re.compile(f"( ?{EOS})")
"""In "words" the tokenizer itself knows the unknown word, and a space before a name is no token."""


def with_space(tokenizer: Tokenizer, text: str, *, is_inside: bool) -> str:
    """Return a text that goes on where another ends: words stand apart."""
    needs_space = is_inside and text[:1].isalnum() and tokenizer.kind != "characters"
    return f" {text}" if needs_space else text


def split_tail(tokenizer: Tokenizer, text: str) -> tuple[str, str]:
    """Split a text to what no letter to come can change any more, and the word under way with the blanks before it.

    A word of more than `MAX_WORD` letters is taken as it is; of more blanks than `MAX_BLANKS` the last few count.
    """
    if tokenizer.kind == "characters":
        return text, ""
    word = len(text)
    while word and not text[word - 1].isspace():
        word -= 1
        if len(text) - word > MAX_WORD:
            return text, ""
    blanks = word
    while blanks and text[blanks - 1].isspace() and word - blanks < MAX_BLANKS:
        blanks -= 1
    return text[:blanks], text[blanks:]


def encode_with_names(tokenizer: Tokenizer, text: str) -> Encoding:
    """Tokenize a text; the names of special tokens in it stand for these tokens."""
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    begin = 0
    names = NAMES_AMONG_WORDS if tokenizer.kind == "words" else NAMES
    for number, part in enumerate(names.split(text)):
        if number % 2:
            ids.append(tokenizer.unk_id if part == UNK else tokenizer.eos_id)
            offsets.append((begin, begin + len(part)))
        else:
            encoding = tokenizer.encode(part)
            ids += encoding.ids
            offsets += [(begin + start, begin + end) for start, end in encoding.offsets]
        begin += len(part)
    return Encoding(ids, offsets, ids.count(tokenizer.unk_id))
