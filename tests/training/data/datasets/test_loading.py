"""The registry says what is missing, what is broken, and how to get it."""

from pathlib import Path

import pytest

from refrain.training.data.datasets.loading import data_root, is_present, load_dataset
from refrain.training.data.datasets.registry import DATASETS
from refrain.training.errors import CorruptDatasetError, MissingDatasetError, UnknownDatasetError


def test_the_data_folder_comes_from_the_environment_or_the_cache() -> None:
    assert data_root({"REFRAIN_DATA": "/some/where"}) == Path("/some/where")
    assert data_root({}) == Path("~/.cache/refrain").expanduser()


def test_an_unknown_name_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(UnknownDatasetError, match="tang, wikitext-2"):
        load_dataset("poems", tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_corpus_says_which_files_and_how_to_get_them(tmp_path, name) -> None:
    assert not is_present(DATASETS[name], tmp_path)
    with pytest.raises(MissingDatasetError) as caught:
        load_dataset(name, tmp_path)
    message = str(caught.value)
    for part in (DATASETS[name].files[0].path, "how to get it", "licence", "REFRAIN_DATA"):
        assert part in message


def test_a_file_of_another_version_is_refused(tmp_path) -> None:
    path = tmp_path / DATASETS["tinyshakespeare"].files[0].path
    path.parent.mkdir(parents=True)
    path.write_text("To be, or not to be.\n" * 100)
    with pytest.raises(CorruptDatasetError, match="SHA-256"):
        load_dataset("tinyshakespeare", tmp_path)
