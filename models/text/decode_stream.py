"""Token ids to text, piece by piece: half a character is held back, and a space between words stands there once."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from refrain.models.text.tokenizer import Tokenizer


def cut_blanks(tokenizer: Tokenizer, text: str) -> tuple[str, bool]:
    """Set the blanks at the end of a text of words aside, but for newlines; return whether there were any.

    In "words" a word brings the space before it, so that a space already typed belongs to the word to come.
    """
    if tokenizer.kind != "words":
        return text, False
    end = len(text)
    while end and text[end - 1].isspace() and text[end - 1] != "\n":
        end -= 1
    return text[:end], end < len(text)


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
            text = self._tokenizer.decode_with_names(ids)
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


def spell(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text that token ids spell, and where in it each of them stands; `<eos>` spells nothing."""
    stream = DecodeStream(tokenizer)
    pieces, offsets, begin = [], [], 0
    for token_id in ids:
        piece = stream.push([token_id])
        pieces.append(piece)
        offsets.append((begin, begin + len(piece)))
        begin += len(piece)
    return "".join(pieces) + stream.finish(), offsets
