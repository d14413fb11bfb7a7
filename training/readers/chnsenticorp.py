"""ChnSentiCorp (Tan Songbo): Chinese reviews of hotels, books and computers, without its leaks."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from training.corpus import Example, LabelledCorpus, Split, TextCorpus
from training.errors import CorruptDatasetError
from training.near_duplicates import split_of

FILES: dict[Split, str] = {
    "train": "chnsenticorp/train.dedup.tsv",
    "validation": "chnsenticorp/dev.tsv",
    "test": "chnsenticorp/test.tsv",
}

HOTELS = "chnsenticorp/ChnSentiCorp_htl_all.csv"

_NOT_A_CHARACTER = re.compile(r"\W+")


def read_chnsenticorp(root: Path) -> LabelledCorpus:
    """Read label and text of each line; the training file holds no text of the other two."""
    return LabelledCorpus(
        {split: _examples(root / file) for split, file in FILES.items()},
        labels=("negative", "positive"),
        label_scores=(0.0, 1.0),
    )


def read_chinese_reviews(root: Path) -> LabelledCorpus:
    """Read ChnSentiCorp with more hotel reviews to train on, none of which is in validation or test.

    The hotel reviews overlap with ChnSentiCorp; one is left out if its letters, punctuation aside, are those of any
    other review, or if its first twenty begin one of validation or test.
    """
    corpus = read_chnsenticorp(root)
    seen = {_letters(e.text) for examples in corpus.examples.values() for e in examples}
    held_out = {_letters(e.text)[:20] for s in ("validation", "test") for e in corpus.examples[s]}
    train = list(corpus.examples["train"])
    with (root / HOTELS).open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            letters = _letters(row["review"])
            if letters and letters not in seen and letters[:20] not in held_out:
                seen.add(letters)
                train.append(Example(row["review"].strip(), int(row["label"])))
    return LabelledCorpus({**corpus.examples, "train": train}, corpus.labels, corpus.label_scores)


def read_chinese_review_texts(root: Path) -> TextCorpus:
    """Read the texts of the training reviews alone, without labels, for a language model to learn from."""
    documents: dict[Split, list[str]] = {"train": [], "validation": [], "test": []}
    for example in read_chinese_reviews(root).examples["train"]:
        split = split_of(example.text, validation=0.04, test=0.04)
        documents[split].append(example.text)
    return TextCorpus(documents, unit="documents")


def _letters(text: str) -> str:
    return _NOT_A_CHARACTER.sub("", text)


def _examples(path: Path) -> list[Example]:
    examples = []
    for number, line in enumerate(path.read_text("utf-8").splitlines()[1:], start=2):
        label, separator, text = line.partition("\t")
        if not separator or label not in ("0", "1"):
            raise CorruptDatasetError(f"{path}, line {number}: no label and text")
        if text.startswith('"') and text.endswith('"') and len(text) > 1:
            text = text[1:-1].replace('""', '"')
        examples.append(Example(text.strip(), int(label)))
    return examples
