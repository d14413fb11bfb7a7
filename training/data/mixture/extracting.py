"""From packages to documents: the texts that were pinned, none with more than its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from refrain.training.data.mixture.source import Mixture, hash_of_documents
from refrain.training.data.near_duplicates import place_of
from refrain.training.data.packages.document import Document
from refrain.training.errors import CorruptDatasetError

Documents = dict[str, list[Document]]
"""The documents of each source, by its name."""


def extract(
    mixture: Mixture, root: Path, *, pinned: bool, report: Callable[[str], None]
) -> tuple[Documents, dict[str, str]]:
    """Return the documents of every source, and their SHA-256.

    Parameters
    ----------
    pinned
        Whether to refuse texts other than those of the registry.

    Raises
    ------
    CorruptDatasetError
        If a source yields other texts than the pinned ones, as another version of its package does.
    """
    documents: Documents = {}
    hashes: dict[str, str] = {}
    for source in mixture.sources:
        each = documents[source.name] = list(source.extract(*source.found(root)))
        hashes[source.name] = hash_of_documents(each)
        report(f"{source.name}: {len(each):,} documents, {num_words(each):,} words")
    others = [source for source in mixture.sources if hashes[source.name] != source.sha256]
    if others and pinned:
        raise CorruptDatasetError(
            "texts other than the pinned ones, as from another version of a package:\n"
            + "".join(f"  {each.name}: {hashes[each.name]}, not {each.sha256}\n" for each in others)
            + f"get {'; '.join(each.package for each in others)}, or build with --unpinned"
        )
    return documents, hashes


def num_words(documents: Sequence[Document]) -> int:
    """Return the number of words of all documents together."""
    return sum(document.num_words for document in documents)


def within_share(mixture: Mixture, documents: Documents) -> Documents:
    """Return documents with each source cut to its largest share of the words; a stable hash says which stay."""
    words = {name: num_words(each) for name, each in documents.items()}
    kept = dict(documents)
    for source in mixture.sources:
        others = sum(number for name, number in words.items() if name != source.name)
        if source.max_share < 1:
            max_words = int(others * source.max_share / (1 - source.max_share))
            kept[source.name] = _cut(documents[source.name], max_words)
    return kept


def _cut(documents: Sequence[Document], max_words: int) -> list[Document]:
    """Return documents of at most so many words together, in the order in which they came."""
    kept = set()
    for document in sorted(documents, key=lambda each: place_of(f"share {each.id}")):
        max_words -= document.num_words
        if max_words < 0:
            break
        kept.add(document.id)
    return [document for document in documents if document.id in kept]
