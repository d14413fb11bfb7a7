"""Splits by text that keep near-duplicates of the training texts out of validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from training.corpus import Split


def split_of(key: str, *, validation: float, test: float) -> Split:
    """Give the split of a text by a stable hash of its key: the given shares, the rest for training."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


def is_near_duplicate(clauses: Sequence[str], known: set[str]) -> bool:
    """Tell whether a text shares two clauses, or a quarter of its own, with known texts."""
    shared = sum(clause in known for clause in clauses)
    return shared >= 2 or (shared > 0 and shared * 4 >= len(clauses))


def keep_apart(
    splits: Mapping[Split, Sequence[tuple[str, Sequence[str]]]],
) -> dict[Split, list[str]]:
    """Move near-duplicates to train: first those of train's texts, then those of test in validation.

    Parameters
    ----------
    splits
        For each split its texts, each with its clauses.
    """
    kept: dict[Split, list[str]] = {"train": [text for text, _ in splits["train"]]}
    known = _clauses(clauses for _, clauses in splits["train"])
    for split in ("test", "validation"):
        kept[split] = []
        fresh: list[Sequence[str]] = []
        for text, clauses in splits[split]:
            if is_near_duplicate(clauses, known):
                kept["train"].append(text)
                known |= set(clauses)
            else:
                kept[split].append(text)
                fresh.append(clauses)
        known |= _clauses(fresh)
    return kept


def _clauses(texts: Iterable[Sequence[str]]) -> set[str]:
    return {clause for clauses in texts for clause in clauses}
