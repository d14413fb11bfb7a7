"""`refrain train`: a recipe, or a text file of one's own, to a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.cli.options.recipe import add_recipe_options, read_recipe_and_corpus

if TYPE_CHECKING:
    from refrain.training.recipe.train_recipe import TrainRecipe
    from refrain.training.reporting.listeners import RunListener

EXAMPLES = """examples:
  refrain train recipes/tang.toml
  refrain train recipes/tang.toml --dry-run
  refrain train recipes/tang.toml --set budget.epochs=2 --output /tmp/tang
  refrain train recipes/tang.toml --resume
  refrain train --text my-book.txt --tokenizer words --tensorboard runs/events
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
    add_recipe_options(parser)
    parser.add_argument(
        "--output", type=Path, help="the checkpoint's folder (default: checkpoints/NAME)"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue an unfinished run")
    again.add_argument(
        "--overwrite", action="store_true", help="discard what an earlier run left in the output"
    )
    again.add_argument(
        "--dry-run",
        action="store_true",
        help="report how large and how long the run would be, after a few steps; nothing is trained or overwritten",
    )
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        help="log to TensorBoard, in a folder of FOLDER named as the output",
    )
    parser.add_argument(
        "--mlflow", metavar="URI", help="log to MLflow: a server's address, or a folder"
    )


def run(options: argparse.Namespace) -> int:
    """Train, or only report what that would take."""
    from refrain.cli.options.model_folder import serving_command
    from refrain.training.optimize.distributed import joined_world
    from refrain.training.planning.dry_run import dry_run
    from refrain.training.run.train import train

    recipe, corpus = read_recipe_and_corpus(options)
    directory = options.output or Path("checkpoints") / recipe.name
    if options.dry_run:
        dry_run(recipe, corpus, device_name=options.device)
        return 0
    with joined_world(options.device) as world:
        if world.is_rank_zero:
            print(plan(recipe, directory), flush=True)
        train(
            recipe,
            corpus,
            directory,
            resume=options.resume,
            overwrite=options.overwrite,
            listeners=_listeners(options, directory) if world.is_rank_zero else (),
            world=world,
        )
    if not world.is_rank_zero:
        return 0
    print(f"the checkpoint is in {directory}; serve it, with all others beside it:")
    print(f"    {serving_command(directory.parent)}")
    return 0


def plan(recipe: TrainRecipe, directory: Path) -> str:
    """Describe in one line what is about to be done."""
    source = recipe.data.dataset or recipe.data.text
    if recipe.task == "ngram":
        return f"{recipe.name}: counting n-grams of {source}, to {directory}"
    length = f"{recipe.budget.epochs} epoch" + "s" * (recipe.budget.epochs > 1)
    if recipe.budget.patience:
        length += " at most"
    kind = recipe.task.replace("_", " ")
    return f"{recipe.name}: training a {kind} on {source}, {length}, seed {recipe.seed}, to {directory}"


def _listeners(options: argparse.Namespace, directory: Path) -> list[RunListener]:
    listeners: list[RunListener] = []
    if options.tensorboard:
        from refrain.training.reporting.tensorboard_log import TensorBoardLog

        listeners.append(TensorBoardLog(options.tensorboard / directory.resolve().name))
    if options.mlflow:
        from refrain.training.reporting.mlflow_log import MlflowLog

        listeners.append(MlflowLog(options.mlflow, directory, print))
    return listeners
