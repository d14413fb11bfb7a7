"""What was built is read as it was, or refused."""

import gzip

import pytest

from refrain.training.data.corpus import hash_of
from refrain.training.data.mixture.files import MANIFEST, read_mixture, write_mixture
from refrain.training.data.packages.document import Document
from refrain.training.errors import CorruptDatasetError

SOURCES = {
    "a": {
        "train": [Document("1", "one\ntwo\u2028three")],
        "validation": [Document("2", "four")],
        "test": [],
    },
    "b": {"train": [Document("1", "five")], "validation": [], "test": [Document("3", "“six”")]},
}


@pytest.fixture
def folder(tmp_path):
    write_mixture(tmp_path / "tiny", SOURCES, {"sources": {"a": {}, "b": {}}}, "whose it is")
    return tmp_path / "tiny"


def test_documents_come_back_in_order_whole_and_by_source(folder) -> None:
    corpus = read_mixture(folder)
    assert corpus.documents == {
        "train": ["one\ntwo\u2028three", "five"],
        "validation": ["four"],
        "test": ["“six”"],
    }
    assert corpus.sources["b"].documents == {"train": ["five"], "validation": [], "test": ["“six”"]}
    assert hash_of(corpus) != hash_of(corpus.sources["b"])


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"id": "1", "text": "other"}\n'), b"no gzip", b""],
    ids=["other", "no gzip", "empty"],
)
def test_a_file_that_was_changed_is_refused(folder, content) -> None:
    (folder / "train/a.jsonl.gz").write_bytes(content)
    with pytest.raises(CorruptDatasetError, match=r"a\.jsonl\.gz .*build it again"):
        read_mixture(folder)


@pytest.mark.parametrize("content", ["", "[]", '{"format_version": 99}'])
def test_a_manifest_of_another_kind_is_refused(folder, content) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(CorruptDatasetError):
        read_mixture(folder)
