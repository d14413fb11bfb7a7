"""Flags that studies share: the text they read, and whole numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path


def add_text_source(parser: argparse.ArgumentParser, dataset: str) -> None:
    """Describe which text a study reads: a corpus of the registry, or a file."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--dataset", default=dataset, help=f"a corpus of `refrain datasets` (default: {dataset})"
    )
    source.add_argument("--text", type=Path, help="your own UTF-8 text file in its place")
    parser.add_argument(
        "--data", type=Path, help="the folder of the corpora (default: REFRAIN_DATA)"
    )


def add_number(
    parser: argparse.ArgumentParser, flag: str, default: int, text: str, *, least: int = 1
) -> None:
    """Describe a flag that takes a whole number."""
    parser.add_argument(
        flag,
        type=whole_number(least),
        default=default,
        metavar="N",
        help=f"{text} (default: {default:,})",
    )


def add_numbers(
    parser: argparse.ArgumentParser, flag: str, default: Sequence[int], text: str, least: int = 1
) -> None:
    """Describe a flag that takes whole numbers, at least one."""
    parser.add_argument(
        flag,
        type=whole_number(least),
        nargs="+",
        default=default,
        metavar="N",
        help=f"{text} (default: {' '.join(map(str, default))})",
    )


def add_seeds(parser: argparse.ArgumentParser, default: Sequence[int]) -> None:
    """Describe the seeds that a study is run with."""
    add_numbers(parser, "--seeds", default, "one run each; results are their means", least=0)


def whole_number(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers that are at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number, {least} or more, not {text!r}"
            )
        return int(text)

    return read
