"""The text of a study: a corpus of the registry, or a file of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from refrain.training.data.corpus import TextCorpus
from refrain.training.data.datasets.loading import data_root, load_dataset
from refrain.training.data.own_text import split_file
from refrain.training.data.text_file import TextFile
from refrain.training.setup.tokens import as_text


def read_corpus(dataset: str, text: Path | None, data: Path | None) -> TextCorpus:
    """Read the file `text` if one is given, else the corpus of that name in the folder `data`, or the usual one.

    Raises
    ------
    CorpusError
        If it cannot be read; the message says how to get it.
    RecipeError
        If the corpus is one of labelled examples.
    """
    if text is not None:
        parts = split_file(TextFile.scan(text))
        return TextCorpus({name: [part.read()] for name, part in parts.items()}, unit="stream")
    return as_text(load_dataset(dataset, data or data_root(os.environ)))


def beginning(documents: Sequence[str], num_characters: int) -> list[str]:
    """Take whole documents from the front up to `num_characters`; what is longer on its own is cut."""
    taken: list[str] = []
    left = num_characters
    for document in documents:
        if left <= 0:
            break
        taken.append(document[:left] if not taken else document)
        left -= len(document)
    return taken
