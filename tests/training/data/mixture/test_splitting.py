"""Splits by document."""

from refrain.training.data.mixture.splitting import split_documents
from refrain.training.data.packages.document import Document
from tests.training.data.mixture.conftest import documents


def test_more_documents_change_the_split_of_few() -> None:
    before = split_documents("a", documents(1, 200))
    after = split_documents("a", documents(1, 202))
    assert len({each.id for each in before["test"]} - {each.id for each in after["test"]}) <= 2


def test_splits_that_a_source_has_stay() -> None:
    texts = [
        Document("1", "a", "test"),
        Document("2", "b", "train"),
        Document("3", "c", "validation"),
    ]
    splits = split_documents("a", texts)
    assert {split: [each.id for each in splits[split]] for split in splits} == {
        "train": ["2"],
        "validation": ["3"],
        "test": ["1"],
    }


def test_a_large_source_gives_a_fiftieth_to_each() -> None:
    splits = split_documents("a", documents(1, 1000))
    assert (len(splits["test"]), len(splits["validation"])) == (20, 20)
