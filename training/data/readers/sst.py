"""Stanford Sentiment Treebank (Socher et al. 2013) from its trees: a label on every phrase."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.corpus import Example, LabelledCorpus, Split
from refrain.training.data.detokenize import detokenize
from refrain.training.data.near_duplicates import without_held_out

FILES: dict[Split, str] = {
    "train": "sst/trees_train.txt",
    "validation": "sst/trees_dev.txt",
    "test": "sst/trees_test.txt",
}
LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)

_TREE_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def read_sst5(root: Path) -> LabelledCorpus:
    """Read five classes: whole sentences to measure on, and every other phrase of the training trees."""
    examples = {split: list(_examples(root / file, split)) for split, file in FILES.items()}
    return LabelledCorpus(
        without_held_out(examples),
        labels=LABELS,
        label_scores=SCORES,
    )


def read_sst2(root: Path) -> LabelledCorpus:
    """Read two classes: the same texts without the neutral ones."""
    five = read_sst5(root)
    return LabelledCorpus(
        {
            split: [Example(e.text, int(e.label > 2)) for e in examples if e.label != 2]
            for split, examples in five.examples.items()
        },
        labels=("negative", "positive"),
        label_scores=(0.0, 1.0),
    )


def _examples(path: Path, split: Split) -> Iterator[Example]:
    seen: set[Example] = set()
    for line in path.read_text("utf-8").splitlines():
        phrases = list(phrases_of(line))
        for label, tokens in phrases if split == "train" else phrases[-1:]:
            example = Example(detokenize(" ".join(tokens)), label)
            if split != "train" or example not in seen:
                seen.add(example)
                yield example


def phrases_of(tree: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every labelled phrase of a tree such as `(3 (2 It) (4 works))`, the whole sentence last."""
    open_nodes: list[tuple[int, list[str]]] = []
    tokens = _TREE_TOKEN.findall(tree)
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token == "(":
            continue
        if before == "(":
            open_nodes.append((int(token), []))
        elif token == ")":
            label, words = open_nodes.pop()
            if open_nodes:
                open_nodes[-1][1].extend(words)
            yield label, words
        else:
            open_nodes[-1][1].append(re.sub(r"\\([/*])", r"\1", token))
