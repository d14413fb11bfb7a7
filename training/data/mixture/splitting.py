"""Splits by document: a speech, a page or an article is in one split whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refrain.training.data.corpus import Split
from refrain.training.data.near_duplicates import place_of
from refrain.training.data.packages.document import Document

MEASURED_SHARE = 0.02
MIN_WORDS = 5_000
MIN_DOCUMENTS = 8
"""Validation and test have this share of the words each, and at least so many words and documents."""

Splits = dict[Split, list[Document]]


def split_documents(source: str, documents: Sequence[Document]) -> Splits:
    """Split documents by a stable hash of their ids; those that came with a split stay there."""
    splits: Splits = {"train": [], "validation": [], "test": []}
    place = {each.id: place_of(f"{source} {each.id}") for each in documents}
    waiting = iter(
        sorted((each for each in documents if each.split is None), key=lambda each: place[each.id])
    )
    target = max(MIN_WORDS, round(MEASURED_SHARE * sum(each.num_words for each in documents)))
    chosen: dict[str, Split] = {}
    for split in ("test", "validation"):
        chosen |= dict.fromkeys(_take(waiting, target), split)
    for document in documents:
        splits[document.split or chosen.get(document.id, "train")].append(document)
    return splits


def _take(waiting: Iterable[Document], num_words: int) -> list[str]:
    """Take documents until there are enough words and documents; return their ids."""
    ids: list[str] = []
    for document in waiting:
        ids.append(document.id)
        num_words -= document.num_words
        if num_words <= 0 and len(ids) >= MIN_DOCUMENTS:
            break
    return ids
