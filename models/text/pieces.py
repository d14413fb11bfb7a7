"""A text in pieces that no token reaches across. Most come again and again, so that each is looked into once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

T = TypeVar("T")

# White space as Unicode has it: Python counts the separators 1C to 1F among it.
_SPACE, _OTHER = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"
_PIECE = re.compile(f"{_SPACE}*{_OTHER}+|{_SPACE}+")
_BORDER = re.compile(f"(?<={_OTHER})(?={_SPACE})")
BLOCK = 4_194_304
"""Characters of a text that are cut in one go."""
LONGEST_KEPT = 64
"""Characters above which a piece is not remembered: it hardly comes again."""
LONGEST_LOOKED_BACK = 10_000
"""Characters at the end of a block among which its last border is looked for."""
MAX_KEPT = 1_000_000
"""Pieces of late, and as many from before them: half a gigabyte at most."""
MAX_COUNTED = 2_000_000
MAX_COUNTED_CHARACTERS = 64_000_000
CHARACTERS_BETWEEN_CHECKS = 16_000_000


def pieces(text: str, *, by_character: bool) -> Iterable[str]:
    """Cut a text before each run of white space, or to characters.

    What follows a run of white space stays with it, since a word's token may bring the space before it.
    """
    return text if by_character else _PIECE.findall(text)


def pieces_by_block(text: str, *, by_character: bool) -> Iterator[str]:
    """Cut a text of any length as `pieces` does, a block of it at a time: the pieces are never all in memory."""
    first = 0
    while first < len(text):
        block = text[first : first + BLOCK]
        end = last_border(block) if first + BLOCK < len(text) else len(block)
        yield from pieces(block[:end], by_character=by_character)
        first += end


def last_border(text: str) -> int:
    """Return the last place between two pieces of a text; its end if there is none near it."""
    tail = max(0, len(text) - LONGEST_LOOKED_BACK)
    borders = [match.start() for match in _BORDER.finditer(text, tail)]
    return borders[-1] if borders else len(text)


class PieceMemo(dict[str, tuple[T, ...]]):
    """What a function makes of pieces, for those of late; `memo[piece]` always answers.

    When it is full, its pieces become the old ones, of which each that is asked for is taken over.
    """

    def __init__(self, look: Callable[[str], tuple[T, ...]]) -> None:
        super().__init__()
        self._look = look
        self._old: dict[str, tuple[T, ...]] = {}

    def __missing__(self, piece: str) -> tuple[T, ...]:
        found = self._old.get(piece)
        if found is None:
            found = self._look(piece)
        if len(piece) <= LONGEST_KEPT:
            if len(self) >= MAX_KEPT:
                self._old = dict(self)
                self.clear()
            self[piece] = found
        return found

    def over(self, text_pieces: Iterable[str]) -> Iterator[T]:
        """Yield what is made of each piece, one behind the other."""
        return chain.from_iterable(map(self.__getitem__, text_pieces))


def count_tokens(
    texts: Iterable[str], cut: Callable[[str], tuple[str, ...]], *, by_character: bool
) -> Counter[str]:
    """Count the tokens of texts in bounded memory.

    Where there are too many different ones, those seen least are forgotten, as often as it takes: counts are exact but
    for tokens that were rare when that happened.
    """
    memo = PieceMemo(cut)
    counts: Counter[str] = Counter()
    unchecked = 0
    for text in texts:
        counts.update(memo.over(pieces(text, by_character=by_character)))
        unchecked += len(text)
        if unchecked > CHARACTERS_BETWEEN_CHECKS:
            unchecked = 0
            forget_rare(counts)
    return counts


def forget_rare(counts: Counter[str]) -> None:
    """Take the rarest tokens away until no more than `MAX_COUNTED` are left, of `MAX_COUNTED_CHARACTERS` in all."""
    rarest = 0
    while len(counts) > MAX_COUNTED or sum(map(len, counts)) > MAX_COUNTED_CHARACTERS:
        rarest += 1
        for token in [token for token, count in counts.items() if count <= rarest]:
            del counts[token]
