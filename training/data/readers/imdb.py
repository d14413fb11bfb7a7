"""Large Movie Review Dataset (Maas et al. 2011): film reviews, positive or negative."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from refrain.training.data.corpus import Example, LabelledCorpus, Split
from refrain.training.data.near_duplicates import split_of, without_held_out

FILES = {"train": "imdb/train.jsonl.gz", "test": "imdb/test.jsonl.gz"}


def read_imdb(root: Path) -> LabelledCorpus:
    """Read the reviews; a tenth of the training half, by a stable hash of its text, is for validation.

    A few reviews are in both halves; the training half goes without them.
    """
    examples: dict[Split, list[Example]] = {"train": [], "validation": [], "test": []}
    for half, file in FILES.items():
        with gzip.open(root / file, "rt", encoding="utf-8") as lines:
            for line in lines:
                review = json.loads(line)
                text = review["text"].replace("<br />", "\n")
                split = split_of(text, validation=0.1, test=0.0) if half == "train" else "test"
                examples[split].append(Example(text, int(review["label"])))
    return LabelledCorpus(
        without_held_out(examples), labels=("negative", "positive"), label_scores=(0.0, 1.0)
    )
