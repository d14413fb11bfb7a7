"""Tiny Shakespeare: one megabyte of plays, cut 90 / 5 / 5."""

from __future__ import annotations

from pathlib import Path

from refrain.training.data.corpus import TextCorpus
from refrain.training.data.own_text import split_file
from refrain.training.data.text_file import TextFile

FILE = "tinyshakespeare/input.txt"


def read_tinyshakespeare(root: Path) -> TextCorpus:
    """Read the plays as one stream."""
    parts = split_file(TextFile.scan(root / FILE))
    return TextCorpus({split: [part.read()] for split, part in parts.items()}, unit="stream")
