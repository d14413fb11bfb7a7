"""Tiny Shakespeare: one megabyte of plays, cut 90 / 5 / 5."""

from __future__ import annotations

from pathlib import Path

from training.corpus import TextCorpus, read_text_file, split_text

FILE = "tinyshakespeare/input.txt"


def read_tinyshakespeare(root: Path) -> TextCorpus:
    """Read the plays as one stream."""
    return split_text(read_text_file(root / FILE))
