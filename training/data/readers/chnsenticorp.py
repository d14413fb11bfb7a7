"""ChnSentiCorp (Tan Songbo): Chinese reviews of hotels, books and computers, without its leaks."""

from __future__ import annotations

import csv
from pathlib import Path

from refrain.training.data.corpus import Example, LabelledCorpus, Split, TextCorpus
from refrain.training.data.near_duplicates import letters_of, split_of, without_held_out
from refrain.training.errors import CorruptDatasetError

FILES: dict[Split, str] = {
    "train": "chnsenticorp/train.dedup.tsv",
    "validation": "chnsenticorp/dev.tsv",
    "test": "chnsenticorp/test.tsv",
}

HOTELS = "chnsenticorp/ChnSentiCorp_htl_all.csv"

_NUM_LETTERS = 20
"""Two reviews that begin with these many same letters are taken for one."""


def read_chnsenticorp(root: Path) -> LabelledCorpus:
    """Read label and text of each line, less the training reviews that begin like one of the other two."""
    examples = {split: _examples(root / file) for split, file in FILES.items()}
    return LabelledCorpus(
        without_held_out(examples, num_letters=_NUM_LETTERS),
        labels=("negative", "positive"),
        label_scores=(0.0, 1.0),
    )


def read_chinese_reviews(root: Path) -> LabelledCorpus:
    """Read ChnSentiCorp with more hotel reviews to train on, none of which is in validation or test.

    The hotel reviews overlap with ChnSentiCorp; one is left out if its letters, punctuation aside, are those of any
    other review, or if it begins like one of validation or test.
    """
    corpus = read_chnsenticorp(root)
    seen = {letters_of(e.text) for examples in corpus.examples.values() for e in examples}
    train = list(corpus.examples["train"])
    with (root / HOTELS).open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            letters = letters_of(row["review"])
            if letters and letters not in seen:
                seen.add(letters)
                train.append(Example(row["review"].strip(), int(row["label"])))
    examples = without_held_out({**corpus.examples, "train": train}, num_letters=_NUM_LETTERS)
    return LabelledCorpus(examples, corpus.labels, corpus.label_scores)


def read_chinese_review_texts(root: Path) -> TextCorpus:
    """Read the texts of the training reviews alone, without labels, for a language model to learn from."""
    documents: dict[Split, list[str]] = {"train": [], "validation": [], "test": []}
    for example in read_chinese_reviews(root).examples["train"]:
        split = split_of(example.text, validation=0.04, test=0.04)
        documents[split].append(example.text)
    return TextCorpus(documents, unit="documents")


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
