"""What the registry says of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refrain.training.data.corpus import LabelledCorpus, TextCorpus


@dataclass(frozen=True)
class DataFile:
    """One file of a corpus, relative to the data folder, and the SHA-256 of its content, unpacked if it is a .gz.

    None where the file is built here: its reader compares what was built with what is there.
    """

    path: str
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One corpus of the registry.

    Attributes
    ----------
    origin
        Where the files come from.
    how_to_get
        What a person has to do to have them.
    read
        Reads the files below a data folder.
    """

    name: str
    title: str
    task: str
    language: str
    license: str
    origin: str
    files: tuple[DataFile, ...]
    how_to_get: str
    read: Callable[[Path], TextCorpus | LabelledCorpus]
