"""Whose tests another corpus must keep clear of."""

from pathlib import Path

from refrain.training.data.corpus import Example, LabelledCorpus, TextCorpus
from refrain.training.data.datasets import loading
from refrain.training.data.datasets import registered_tests as module
from refrain.training.data.datasets.dataset import DataFile, Dataset
from refrain.training.data.datasets.registered_tests import registered_tests


def dataset(name, language, corpus):
    return Dataset(
        name=name,
        title=name,
        task="language model",
        language=language,
        license="",
        origin="",
        files=(DataFile(f"{name}.txt", None),),
        how_to_get="",
        read=lambda _: corpus,
    )


def test_tests_of_all_that_is_at_hand_are_found(tmp_path, monkeypatch) -> None:
    corpora = {
        "stream": (
            "en",
            TextCorpus({"train": ["no"], "test": ["a line", "b line"]}, unit="stream"),
        ),
        "texts": ("en", TextCorpus({"train": ["no"], "test": ["one", "two"]}, unit="documents")),
        "labelled": ("en", LabelledCorpus({"test": [Example("good", 1)]}, ("no", "yes"), (0, 1))),
        "chinese": ("zh", TextCorpus({"test": ["一"]}, unit="documents")),
        "itself": ("en", TextCorpus({"test": ["self"]}, unit="documents")),
        "absent": ("en", TextCorpus({"test": ["gone"]}, unit="documents")),
    }
    registry = {name: dataset(name, *each) for name, each in corpora.items()}
    monkeypatch.setattr(loading, "DATASETS", registry)
    monkeypatch.setattr(module, "DATASETS", registry)
    for name in corpora:
        if name != "absent":
            Path(tmp_path / f"{name}.txt").touch()
    assert registered_tests(tmp_path, "en", but="itself") == {
        "stream": ["a line\nb line"],
        "texts": ["one", "two"],
        "labelled": ["good"],
    }
