"""Which model answers where none is named: the first, in a fixed order, of the text's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def in_order(names: Iterable[str], preferred: Sequence[str]) -> list[str]:
    """Put the preferred names first, in their order, and the others behind them by name."""
    rank = {name: place for place, name in enumerate(preferred)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def first_of_language(languages: Mapping[str, str], language: str | None) -> str | None:
    """Give the first name with this language, else the first name; None where there is no name."""
    names = list(languages)
    return next((name for name in names if languages[name] == language), next(iter(names), None))
