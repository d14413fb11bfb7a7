"""`refrain datasets`: what each corpus is, where from, licence, whether present, how to get it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

EXAMPLES = """examples:
  refrain datasets
  refrain datasets --data /data/corpora
  REFRAIN_DATA=/data/corpora refrain datasets
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "datasets",
        help="list the corpora",
        description="List the corpora that recipes can name: what each is, its licence, and how to get it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, help="the folder of the corpora (default: REFRAIN_DATA)"
    )
    parser.set_defaults(run=run)


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
