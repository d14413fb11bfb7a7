"""Recipes: every shipped one reads, and mistakes are named."""

from pathlib import Path

import pytest

from refrain.training.errors import RecipeError
from refrain.training.recipe.parsing import make_recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_reads(path) -> None:
    assert read_recipe(path).name == path.stem


def test_overrides_take_toml_values_and_plain_words() -> None:
    recipe = make_recipe(
        {"name": "a"},
        ["budget.epochs=3", "model.cell=gru", "optimizer.learning_rate=1e-3", "model.tied=false"],
    )
    assert recipe.budget.epochs == 3
    assert recipe.model == {"cell": "gru", "tied": False}
    assert recipe.optimizer.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("budget.epoch=3", "has no key epoch"),
        ("budget.epochs=many", "budget.*epochs must be a whole number, not 'many'"),
        ("budget.epochs=true", "must be a whole number, not True"),
        ("epochs", "KEY=VALUE"),
        ("name.first=1", "no section"),
        ("task=singing", "task must be"),
        ("budget=3", "must be a table"),
        ("model=5", "model must be a table, not 5"),
        ("budget.window_jitter=inf", "window_jitter must be a number"),
        ("data={dataset='a', text='b'}", "data.dataset and data.text"),
    ],
)
def test_a_mistake_in_an_override_is_named(override, fault) -> None:
    with pytest.raises(RecipeError, match=fault):
        make_recipe({"name": "a"}, [override])


def test_a_missing_or_broken_recipe_file_is_named(tmp_path) -> None:
    with pytest.raises(RecipeError, match="no recipe at"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = [")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    "override",
    [
        "dtype=bf16",
        "seed=-1",
        "budget.epochs=0",
        "budget.window=0",
        "budget.batch_size=0",
        "budget.validate_every=-1",
        "budget.precision=int4",
        "optimizer.learning_rate=nan",
        "optimizer.warmup=2.0",
        "optimizer.clip_norm=0",
        "tokenizer.kind=wordz",
        "tokenizer.vocab_size=1",
        "tokenizer.min_count=0",
    ],
)
def test_impossible_values_are_refused_before_anything_is_trained(override) -> None:
    with pytest.raises(RecipeError, match=override.partition("=")[0].rpartition(".")[2]):
        make_recipe({"name": "x"}, [override])


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.activation_penalty=1.0",
        "optimizer.change_penalty=1.0",
        "optimizer.num_sampled=100",
        "budget.window_jitter=5",
        "budget.max_windows=9",
    ],
)
def test_what_a_classifier_would_ignore_is_refused(override) -> None:
    with pytest.raises(RecipeError, match=f"{override.partition('=')[0]} is for language models"):
        make_recipe({"name": "x", "task": "classifier"}, [override])


def test_a_decay_leaves_the_first_epoch_as_it_is() -> None:
    overrides = ["optimizer.schedule=decay", "optimizer.decay_after=0"]
    with pytest.raises(RecipeError, match="decay_after must be 1"):
        make_recipe({"name": "x"}, overrides)
