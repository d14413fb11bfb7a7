"""`refrain datasets`: what each corpus is, where from, licence, whether present, how to get it; and to build one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

EXAMPLES = """examples:
  refrain datasets
  refrain datasets --data /data/corpora
  REFRAIN_DATA=/data/corpora refrain datasets
  refrain datasets build english-open
"""
BUILD_EXAMPLES = """examples:
  refrain datasets build english-open
  refrain datasets build english-open --data /data/corpora --unpinned
"""
BUILT = ("english-open",)
"""Corpora that are built from packages."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "datasets",
        help="list the corpora, or build one",
        description="List the corpora that recipes can name: what each is, its licence, and how to get it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, help="the folder of the corpora (default: REFRAIN_DATA)"
    )
    parser.set_defaults(run=run)
    _add_build(parser.add_subparsers(metavar="ACTION"))


def _add_build(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the building of a corpus."""
    build = actions.add_parser(
        "build",
        help="build a corpus from packages",
        description="Build a corpus from packages that lie in the folder of the corpora; nothing is fetched.",
        epilog=BUILD_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("name", choices=BUILT, help="the corpus")
    build.add_argument(
        "--data",
        type=Path,
        default=argparse.SUPPRESS,
        help="the folder of the corpora (default: REFRAIN_DATA)",
    )
    build.add_argument(
        "--unpinned",
        action="store_true",
        help="take the texts of other versions of the packages too",
    )
    build.set_defaults(run=run_build)


def run(options: argparse.Namespace) -> int:
    """Print every corpus of the registry."""
    from refrain.training.data.datasets.loading import data_root, is_present
    from refrain.training.data.datasets.registry import DATASETS

    root = options.data or data_root(os.environ)
    print(f"corpora in {root} (set REFRAIN_DATA to look elsewhere)\n")
    for dataset in DATASETS.values():
        mark = "present" if is_present(dataset, root) else "missing"
        print(f"{dataset.name} ({mark}): {dataset.title}")
        print(f"    task {dataset.task}, language {dataset.language}, licence {dataset.license}")
        print(f"    from {dataset.origin}")
        for file in dataset.files:
            print(f"    {file.path}")
        if mark == "missing":
            print(f"    how to get it: {dataset.how_to_get}")
        print()
    return 0


def run_build(options: argparse.Namespace) -> int:
    """Build a corpus, and print how much there is of each source."""
    from refrain.training.data.datasets.loading import data_root
    from refrain.training.data.datasets.registered_tests import registered_tests
    from refrain.training.data.mixture.build import build_mixture
    from refrain.training.data.mixture.english_open import ENGLISH_OPEN
    from refrain.training.data.mixture.summary import summary

    root = options.data or data_root(os.environ)
    ENGLISH_OPEN.require_files(root)
    sha256, manifest = build_mixture(
        ENGLISH_OPEN,
        root,
        registered_tests(root, "en", but=ENGLISH_OPEN.name),
        pinned=not options.unpinned,
        report=lambda line: print(line, flush=True),
    )
    print("", *summary(manifest), sep="\n")
    print(f"\nnear-duplicates of a test left: {manifest['near_duplicates_left']}")
    print(f"written: {root / ENGLISH_OPEN.name}, SHA-256 {sha256}")
    return 0
