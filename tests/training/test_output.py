"""The folder of a run: refused in time, held by one run, and nothing of others is lost."""

import pytest

from refrain.training.errors import OutputError, OutputExistsError, RecipeError
from refrain.training.output import held_folder
from refrain.training.run.train import train


def quiet(_: str) -> None:
    """Do nothing."""


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize("name", ["README.md", "best.safetensors", "snapshot"])
def test_files_that_no_run_left_are_not_replaced(
    tmp_path, small_recipe, small_corpus, name, flags
) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / name
    if name == "snapshot":
        mine.mkdir()
        mine /= "notes"
    mine.write_text("mine")
    with pytest.raises(OutputExistsError, match=name):
        train(small_recipe(), small_corpus, tmp_path / "mine", log=quiet, **flags)
    assert mine.read_text() == "mine"


def test_other_files_are_no_hindrance_and_stay(tmp_path, small_recipe, small_corpus) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for flags in ({}, {"overwrite": True}):
        train(small_recipe("budget.epochs=1"), small_corpus, tmp_path, log=quiet, **flags)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("key", ["distillation.teacher", "start_from"])
def test_what_a_run_learns_from_is_not_overwritten(
    tmp_path, small_recipe, small_corpus, key
) -> None:
    teacher = train(small_recipe("budget.epochs=1"), small_corpus, tmp_path / "teacher", log=quiet)
    before = names(teacher)
    with pytest.raises(OutputExistsError, match="learn from"):
        train(
            small_recipe(f"{key}={teacher}"),
            small_corpus,
            tmp_path / "." / "teacher",
            log=quiet,
            overwrite=True,
        )
    assert names(teacher) == before


def test_two_runs_do_not_share_a_folder(tmp_path, small_recipe, small_corpus) -> None:
    folder = tmp_path / "a"
    with held_folder(folder, resume=False, overwrite=False):
        for flags in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(OutputError, match="another run"):
                train(small_recipe(), small_corpus, folder, log=quiet, **flags)
    train(small_recipe("budget.epochs=1"), small_corpus, folder, log=quiet)


def test_a_folder_that_cannot_be_is_refused_at_once(tmp_path, small_recipe, small_corpus) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="cannot be made"):
            train(small_recipe(), small_corpus, folder, log=quiet)


def test_a_refused_run_leaves_no_folder(tmp_path, small_recipe, small_corpus) -> None:
    with pytest.raises(RecipeError):
        train(small_recipe("model.hidden_size=0"), small_corpus, tmp_path / "a", log=quiet)
    assert not (tmp_path / "a").exists()
