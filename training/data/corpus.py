"""What a corpus is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from refrain.training.data.text_file import TextPart
from refrain.training.errors import EmptyCorpusError

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class TextCorpus:
    """Texts for language models.

    Attributes
    ----------
    documents
        The texts of each split.
    unit
        "documents": each text starts from a zero state. "stream": the texts follow one another, with a boundary
        between them and the state carried over.
    sources
        Of a corpus that is mixed from several: each of them by its name, to measure on one at a time.
    """

    documents: Mapping[Split, Sequence[str]]
    unit: Literal["documents", "stream"]
    sources: Mapping[str, TextCorpus] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class TextFileCorpus(TextCorpus):
    """A text file of one's own, however large: its end is held, to measure on, its beginning is read in blocks.

    Attributes
    ----------
    train
        What to train on.
    cache
        The folder where its vocabulary and token ids are kept.
    """

    train: TextPart
    cache: Path


@dataclass(frozen=True)
class Example:
    """A labelled text; the label is an index of the corpus's `labels`."""

    text: str
    label: int


@dataclass(frozen=True)
class LabelledCorpus:
    """Labelled texts for classifiers.

    Attributes
    ----------
    label_scores
        Where each label lies from 0 (most negative) to 1 (most positive).
    """

    examples: Mapping[Split, Sequence[Example]]
    labels: tuple[str, ...]
    label_scores: tuple[float, ...]


def hash_of(corpus: TextCorpus | LabelledCorpus) -> str:
    """Return a SHA-256 that changes with any text, label, or split of a corpus."""
    if isinstance(corpus, TextFileCorpus):
        return corpus.train.file.sha256
    digest = hashlib.sha256()
    splits = corpus.documents if isinstance(corpus, TextCorpus) else corpus.examples
    for split in sorted(splits):
        digest.update(f"{split} {len(splits[split])}\n".encode())
        for item in splits[split]:
            text, label = (item, 0) if isinstance(item, str) else (item.text, item.label)
            digest.update(f"{label} {len(text)} {text}\n".encode())
    return digest.hexdigest()


def require_content(corpus: TextCorpus | LabelledCorpus) -> None:
    """Refuse a corpus that leaves nothing to learn from or to measure on; a text file was checked when it was split.

    Raises
    ------
    EmptyCorpusError
        If a split has no text in it, or a label no example to learn it from.
    """
    if isinstance(corpus, TextFileCorpus):
        return
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        if isinstance(corpus, TextCorpus):
            is_empty = not any(text.strip() for text in corpus.documents.get(split, ()))
        else:
            is_empty = not corpus.examples.get(split)
        if is_empty:
            raise EmptyCorpusError(f"the corpus has no text in its {split} split")
    if isinstance(corpus, LabelledCorpus):
        seen = {example.label for example in corpus.examples["train"]}
        missing = [name for index, name in enumerate(corpus.labels) if index not in seen]
        if missing:
            raise EmptyCorpusError(
                f"the corpus has no train example labelled {', '.join(missing)}: a classifier cannot learn that"
            )
