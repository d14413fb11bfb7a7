"""The tests of the registered corpora that are at hand: what another corpus must not learn from."""

from __future__ import annotations

from pathlib import Path

from refrain.training.data.corpus import LabelledCorpus, TextCorpus
from refrain.training.data.datasets.loading import is_present, load_dataset
from refrain.training.data.datasets.registry import DATASETS


def registered_tests(root: Path, language: str, *, but: str) -> dict[str, list[str]]:
    """Return the test texts of each corpus of a language in a data folder, but of one; labelled texts too.

    A stream is one text, whatever the lines that its benchmark cuts it to.

    Raises
    ------
    CorruptDatasetError
        If a corpus is not the one of the registry.
    """
    return {
        name: _test_texts(load_dataset(name, root))
        for name, dataset in DATASETS.items()
        if dataset.language == language and name != but and is_present(dataset, root)
    }


def _test_texts(corpus: TextCorpus | LabelledCorpus) -> list[str]:
    if isinstance(corpus, LabelledCorpus):
        return [example.text for example in corpus.examples["test"]]
    texts = list(corpus.documents["test"])
    return ["\n".join(texts)] if corpus.unit == "stream" else texts
