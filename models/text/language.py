"""Which language a text is in, by its script, and which model answers where none is named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

Language = Literal["en", "zh"]

_HAN = re.compile(r"[㐀-鿿豈-﫿\U00020000-\U0003ffff]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]+")


def recognise_language(text: str) -> Language | None:
    """Recognise Chinese or English by counting Han characters against Latin words; None where neither is there."""
    sample = text[:4000]
    num_han, num_words = len(_HAN.findall(sample)), len(_LATIN.findall(sample))
    if not num_han and not num_words:
        return None
    return "zh" if num_han >= num_words else "en"


def in_order(names: Iterable[str], preferred: Sequence[str]) -> list[str]:
    """Return the preferred names first, in their order, and the others behind them by name."""
    rank = {name: place for place, name in enumerate(preferred)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def first_of_language(languages: Mapping[str, str], language: str | None) -> str | None:
    """Return the first name with this language, else the first name; None where there is no name."""
    first = next(iter(languages), None)
    return next((name for name, its in languages.items() if its == language), first)
