"""What commands that work on a recipe have in common: its flags, and reading it with its corpus."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refrain.training.data.corpus import LabelledCorpus, TextCorpus
    from refrain.training.recipe.train_recipe import TrainRecipe


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Describe how a recipe, or a text of one's own, is given."""
    parser.add_argument(
        "recipe", nargs="?", type=Path, help="a recipe file, such as recipes/tang.toml"
    )
    parser.add_argument(
        "--text", type=Path, help="a UTF-8 text file of your own, in place of a recipe"
    )
    parser.add_argument(
        "--tokenizer",
        choices=["characters", "words", "bpe"],
        default="words",
        help="how to cut the text file (default: words; for Chinese: characters)",
    )
    parser.add_argument(
        "--data", type=Path, help="the folder of the corpora (default: REFRAIN_DATA)"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the recipe, such as budget.epochs=3",
    )
    parser.add_argument("--seed", type=int, help="the same as --set seed=SEED")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def read_recipe_and_corpus(
    options: argparse.Namespace,
) -> tuple[TrainRecipe, TextCorpus | LabelledCorpus]:
    """Read what the options name."""
    from refrain.training.errors import RecipeError

    if (options.recipe is None) == (options.text is None):
        raise RecipeError("give either a recipe file or --text FILE")
    return _from_text(options) if options.text else _from_recipe(options)


def _overrides(options: argparse.Namespace) -> list[str]:
    seed = [] if options.seed is None else [f"seed={options.seed}"]
    return [*options.overrides, *seed]


def _from_recipe(options: argparse.Namespace) -> tuple[TrainRecipe, TextCorpus | LabelledCorpus]:
    from refrain.training.data.datasets.loading import data_root, load_dataset, token_cache
    from refrain.training.data.own_text import own_text_corpus
    from refrain.training.data.text_file import TextFile
    from refrain.training.errors import RecipeError
    from refrain.training.recipe.parsing import read_recipe

    recipe = read_recipe(options.recipe, _overrides(options))
    if recipe.data.text:
        file = TextFile.scan(Path(recipe.data.text))
        return recipe, own_text_corpus(file, token_cache(os.environ))
    if not recipe.data.dataset:
        raise RecipeError(
            f"{options.recipe} names neither data.text nor data.dataset; `refrain datasets` lists the data sets"
        )
    root = options.data or data_root(os.environ)
    return recipe, load_dataset(recipe.data.dataset, root)


def _from_text(options: argparse.Namespace) -> tuple[TrainRecipe, TextCorpus]:
    from refrain.training.data.datasets.loading import token_cache
    from refrain.training.data.own_text import own_text_corpus, recipe_for_text, shortage
    from refrain.training.data.text_file import TextFile

    file = TextFile.scan(options.text)
    recipe = recipe_for_text(file, options.tokenizer, _overrides(options))
    if warning := shortage(file.num_characters, recipe.tokenizer.kind):
        print(f"refrain: warning: {options.text}: {warning}", file=sys.stderr)
    return recipe, own_text_corpus(file, token_cache(os.environ))
