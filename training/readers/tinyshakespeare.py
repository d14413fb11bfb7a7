"""Tiny Shakespeare: one megabyte of plays, cut 90 / 5 / 5."""

from __future__ import annotations

from pathlib import Path

from training.corpus import TextCorpus
from training.own_text import split_file
from training.text_file import TextFile

FILE = "tinyshakespeare/input.txt"


def read_tinyshakespeare(root: Path) -> TextCorpus:
    """Read the plays as one stream."""
    parts = split_file(TextFile.scan(root / FILE))
    return TextCorpus({split: [part.read()] for split, part in parts.items()}, unit="stream")
