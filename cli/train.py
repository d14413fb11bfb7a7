"""`refrain train`: a recipe, or a text file of one's own, to a checkpoint."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.corpus import LabelledCorpus, TextCorpus
    from training.recipe import TrainRecipe

EXAMPLES = """examples:
  refrain train recipes/tang.toml
  refrain train recipes/tang.toml --set budget.epochs=2 --output /tmp/tang
  refrain train recipes/tang.toml --resume
  refrain train --text my-book.txt --tokenizer words
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model and write its checkpoint.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what every command that trains takes."""
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
        "--output", type=Path, help="the checkpoint's folder (default: checkpoints/NAME)"
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
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    again.add_argument(
        "--overwrite", action="store_true", help="throw away what an earlier run left in the output"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def run(options: argparse.Namespace) -> int:
    """Train."""
    from training.distributed import joined_processes
    from training.errors import RecipeError
    from training.run import train

    if (options.recipe is None) == (options.text is None):
        raise RecipeError("give either a recipe file or --text FILE")
    recipe, corpus = _from_text(options) if options.text else _from_recipe(options)
    directory = options.output or Path("checkpoints") / recipe.name
    with joined_processes(options.device) as processes:
        train(
            recipe,
            corpus,
            directory,
            resume=options.resume,
            overwrite=options.overwrite,
            device_name=options.device,
            processes=processes,
        )
    if processes.is_first:
        print(f"checkpoint in {directory}; `refrain serve --models {directory.parent}` serves it")
    return 0


def _from_recipe(options: argparse.Namespace) -> tuple[TrainRecipe, TextCorpus | LabelledCorpus]:
    from training.datasets import data_root, load_dataset, token_cache
    from training.errors import RecipeError
    from training.own_text import own_text_corpus
    from training.recipe import read_recipe
    from training.text_file import TextFile

    recipe = read_recipe(options.recipe, options.overrides)
    if recipe.data.text:
        return recipe, own_text_corpus(
            TextFile.scan(Path(recipe.data.text)), token_cache(os.environ)
        )
    if not recipe.data.dataset:
        raise RecipeError(
            f"{options.recipe} names neither data.text nor data.dataset; `refrain datasets` lists those"
        )
    root = options.data or data_root(os.environ)
    return recipe, load_dataset(recipe.data.dataset, root)


def _from_text(options: argparse.Namespace) -> tuple[TrainRecipe, TextCorpus]:
    from training.datasets import token_cache
    from training.own_text import own_text_corpus, recipe_for_text
    from training.text_file import TextFile

    file = TextFile.scan(options.text)
    recipe = recipe_for_text(file, options.tokenizer, options.overrides)
    return recipe, own_text_corpus(file, token_cache(os.environ))
