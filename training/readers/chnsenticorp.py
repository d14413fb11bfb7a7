"""ChnSentiCorp (Tan Songbo): Chinese reviews of hotels, books and computers, without its leaks."""

from __future__ import annotations

from pathlib import Path

from training.corpus import Example, LabelledCorpus, Split
from training.errors import CorruptDatasetError

FILES: dict[Split, str] = {
    "train": "chnsenticorp/train.dedup.tsv",
    "validation": "chnsenticorp/dev.tsv",
    "test": "chnsenticorp/test.tsv",
}


def read_chnsenticorp(root: Path) -> LabelledCorpus:
    """Read label and text of each line; the training file holds no text of the other two."""
    return LabelledCorpus(
        {split: _examples(root / file) for split, file in FILES.items()},
        labels=("negative", "positive"),
        label_scores=(0.0, 1.0),
    )


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
