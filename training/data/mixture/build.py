"""Builds a mixture from packages that were fetched: extract, split, keep apart from tests, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from refrain.training.data.mixture.attribution import attribution
from refrain.training.data.mixture.extracting import extract, within_share
from refrain.training.data.mixture.files import read_manifest, write_mixture
from refrain.training.data.mixture.keeping_apart import keep_sources_apart, num_near_duplicates
from refrain.training.data.mixture.source import Mixture, Source
from refrain.training.data.mixture.splitting import Splits, split_documents


def build_mixture(
    mixture: Mixture,
    root: Path,
    other_tests: Mapping[str, Sequence[str]],
    *,
    pinned: bool = True,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[str, dict[str, Any]]:
    """Build a mixture in its folder below the data folder, and return a SHA-256 of the whole and the manifest.

    Parameters
    ----------
    other_tests
        Test texts of other corpora, by their names: what is nearly the same is not learnt from.
    pinned
        Whether to refuse texts other than those of the registry.
    report
        Called with a line after each part of the work.

    Raises
    ------
    MissingDatasetError, CorruptDatasetError
        If packages are missing, cannot be read, or yield other texts than the pinned ones.
    """
    mixture.require_files(root)
    documents, hashes = extract(mixture, root, pinned=pinned, report=report)
    shares = within_share(mixture, documents)
    splits = {name: split_documents(name, each) for name, each in shares.items()}
    report(f"comparing with the tests of {', '.join((mixture.name, *other_tests))}")
    kept = keep_sources_apart(splits, other_tests)
    manifest = {
        "name": mixture.name,
        "license": mixture.license,
        "compared_with": {name: len(texts) for name, texts in other_tests.items()},
        "near_duplicates_left": num_near_duplicates(kept, other_tests),
        "sources": {
            each.name: _about(each, hashes[each.name], splits, kept) for each in mixture.sources
        },
    }
    folder = root / mixture.name
    sha256 = write_mixture(folder, kept, manifest, attribution(mixture, kept))
    return sha256, read_manifest(folder)


def _about(
    source: Source, sha256: str, before: Mapping[str, Splits], after: Mapping[str, Splits]
) -> dict[str, Any]:
    """Return what a manifest has about a source, beside its files."""
    removed = {
        split: len(before[source.name][split]) - len(after[source.name][split])
        for split in ("train", "validation")
    }
    return {
        "package": source.package,
        "license": source.license,
        "extracted_sha256": sha256,
        "near_duplicates_removed": removed,
    }
