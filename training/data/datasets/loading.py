"""Corpora from the files of a data folder, which are checked before they are read."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

from refrain.models.card import Card
from refrain.training.data.corpus import LabelledCorpus, TextCorpus
from refrain.training.data.datasets.dataset import Dataset
from refrain.training.data.datasets.registry import (
    DATASETS,
)
from refrain.training.data.own_text import own_text_corpus
from refrain.training.data.text_file import TextFile
from refrain.training.errors import CorruptDatasetError, MissingDatasetError, UnknownDatasetError


def data_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of the corpora: `REFRAIN_DATA`, or `~/.cache/refrain`."""
    return Path(environ.get("REFRAIN_DATA") or "~/.cache/refrain").expanduser()


def token_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder where the token ids of texts of one's own are kept."""
    return data_root(environ) / "tokens"


def is_present(dataset: Dataset, root: Path) -> bool:
    """Return whether every file of a corpus is there."""
    return all((root / file.path).is_file() for file in dataset.files)


def load_dataset(name: str, root: Path, *, verify: bool = True) -> TextCorpus | LabelledCorpus:
    """Read a corpus of the registry, after checking that its files are those that the figures were measured on.

    Raises
    ------
    UnknownDatasetError
        If the registry has no such name.
    MissingDatasetError
        If files are missing; the message says which, and how to get them.
    CorruptDatasetError
        If a file has another SHA-256 than the registry says.
    """
    if name not in DATASETS:
        raise UnknownDatasetError(f"no corpus named {name!r}; there are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    missing = [file.path for file in dataset.files if not (root / file.path).is_file()]
    if missing:
        raise MissingDatasetError(
            f"the corpus {name} is not in {root} (set REFRAIN_DATA to look elsewhere)\n"
            f"  missing: {', '.join(missing)}\n"
            f"  from: {dataset.origin}\n"
            f"  licence: {dataset.license}\n"
            f"  how to get it: {dataset.how_to_get}"
        )
    if verify:
        for file in dataset.files:
            if file.sha256 is not None:
                _verify(root / file.path, file.sha256)
    return dataset.read(root)


def is_own_text(card: Card, file: TextFile) -> bool:
    """Return whether a checkpoint was trained on this very text file."""
    return file.sha256 == card.text_sha256


def corpus_of(
    card: Card, data: Path | None, environ: Mapping[str, str]
) -> TextCorpus | LabelledCorpus:
    """Read the corpus that a checkpoint was trained on: its own text file, split as it was then, or a registered one.

    Parameters
    ----------
    data
        That file, or the folder of the corpora; None for the usual folder.

    Raises
    ------
    MissingDatasetError
        If it is another file, or not there.
    """
    if data and not data.exists():
        raise MissingDatasetError(f"--data {data}: there is no such file or folder")
    if data and data.is_file():
        file = TextFile.scan(data)
        if is_own_text(card, file):
            return own_text_corpus(file, token_cache(environ))
        was_changed = ", as it was then" if data.name == card.dataset else ""
        raise MissingDatasetError(
            f"{data} is not what it was trained on: {card.dataset}{was_changed}"
        )
    if not card.recipe:
        raise MissingDatasetError(
            f"it was trained on a text file, {card.dataset}; give it with --data"
        )
    return load_dataset(card.dataset, data or data_root(environ))


def _verify(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptDatasetError(f"{path} cannot be unpacked: {error}; get it again") from error
    found = digest.hexdigest()
    if found != sha256:
        raise CorruptDatasetError(
            f"{path} has SHA-256 {found}, not {sha256}: it is truncated or of another version; get it again"
        )
