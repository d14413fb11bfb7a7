"""Where checkpoints are found: a folder of one's own, `checkpoints` here, and the shipped ones."""

import json
import shutil

import pytest

from refrain.models.checkpoint import (
    find_checkpoint,
    find_models,
    folders,
    is_shipped,
    unfinished_runs,
)
from refrain.models.errors import CheckpointError


def add(folder, name, config=None):
    (folder / name).mkdir(parents=True)
    text = json.dumps({"format_version": 1} if config is None else config)
    (folder / name / "config.json").write_text(text, "utf-8")
    return folder / name


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A place of shipped checkpoints, beside which lies a run of one's own."""
    monkeypatch.setattr(folders, "SHIPPED", tmp_path / "package" / "checkpoints")
    for name in ("english", "tang", "my-run"):
        add(folders.SHIPPED, name)
    return folders.SHIPPED


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder that one works in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.usefixtures("here")
def test_shipped_models_are_found_anywhere_and_nothing_that_lies_beside_them(shipped) -> None:
    assert find_models(None) == {"english": shipped / "english", "tang": shipped / "tang"}


def test_ones_own_are_found_beside_them_and_win_by_name(shipped, here) -> None:
    add(here / "checkpoints", "tang")
    add(here / "checkpoints", "book")
    found = find_models(None)
    assert list(found) == ["book", "english", "tang"]
    assert [name for name, path in found.items() if is_shipped(path)] == ["english"]


@pytest.mark.usefixtures("shipped", "here")
def test_a_named_folder_is_not_widened_unless_asked(tmp_path) -> None:
    own = add(tmp_path / "mine", "tang")
    assert find_models(tmp_path / "mine") == {"tang": own}
    assert list(find_models(tmp_path / "mine", shipped=True)) == ["english", "tang"]
    assert find_models(tmp_path / "mine", shipped=True)["tang"] == own


@pytest.mark.usefixtures("shipped")
def test_shipped_models_can_be_left_out(here) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        find_models(None, shipped=False)
    add(here / "checkpoints", "book")
    assert list(find_models(None, shipped=False)) == ["book"]


def test_in_the_tree_a_run_beside_the_shipped_ones_is_ones_own(shipped, monkeypatch) -> None:
    monkeypatch.chdir(shipped.parent)
    found = find_models(None)
    assert {name: is_shipped(path) for name, path in found.items()} == {
        "english": True,
        "my-run": False,
        "tang": True,
    }
    assert list(find_models(None, shipped=False)) == ["my-run"]


@pytest.mark.usefixtures("shipped")
def test_a_checkpoint_of_another_program_is_passed_over_with_a_warning(here, caplog) -> None:
    add(here / "checkpoints", "checkpoint-500", {"model_type": "gpt2"})
    assert list(find_models(None)) == ["english", "tang"]
    assert "checkpoint-500" in caplog.text
    assert list(find_models(here / "checkpoints")) == ["checkpoint-500"]  # whoever reads it refuses


def test_a_checkpoint_is_found_by_name_before_its_path(shipped, here) -> None:
    path = add(here, "tang")
    assert find_checkpoint("tang") == shipped / "tang"
    assert find_checkpoint(path) == path
    shutil.rmtree(path)
    with pytest.raises(CheckpointError, match=r"no model named 'book' .* there are: english, tang"):
        find_checkpoint("book")


def test_a_run_that_did_not_end_is_named(here) -> None:
    (here / "checkpoints" / "half" / "snapshot").mkdir(parents=True)
    assert [path.name for path in unfinished_runs(None)] == ["half"]


def test_a_model_that_was_made_is_not_shipped() -> None:
    assert not is_shipped(None)
