"""`refrain find-lr`: which learning rate suits a recipe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.cli.options.recipe import add_recipe_options, read_recipe_and_corpus

if TYPE_CHECKING:
    from refrain.training.planning.learning_rate_finder import RangeTest
    from refrain.training.recipe.train_recipe import TrainRecipe

EXAMPLES = """examples:
  refrain find-lr recipes/tang.toml --output runs/tang-lr
  refrain find-lr --text my-book.txt --steps 100
"""
ROWS = 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "find-lr",
        help="find a learning rate for a recipe",
        description="Train a few steps under a rising learning rate, until the loss explodes, and suggest a rate. "
        "Nothing of the training is kept.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe_options(parser)
    parser.add_argument("--steps", type=int, default=200, help="steps to take (default: 200)")
    parser.add_argument("--lowest", type=float, default=1e-6, help="the first rate (default: 1e-6)")
    parser.add_argument(
        "--highest", type=float, help="the last rate (default: 1; 100 for recipes of SGD)"
    )
    parser.add_argument(
        "--output", type=Path, help="a folder for find_lr.svg and find_lr.json (default: none)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the test, print its table and suggestion, write its plot where an output is named."""
    from refrain.training.output import make_folder
    from refrain.training.planning.learning_rate_finder import find_learning_rate
    from refrain.training.reporting.console import print_at_once
    from refrain.training.reporting.optional_package import require
    from refrain.training.reporting.progress_display import progress_display

    if options.output:
        require("matplotlib", "studies")
        make_folder(options.output)
    recipe, corpus = read_recipe_and_corpus(options)
    usual = 100.0 if recipe.optimizer.kind == "sgd" else 1.0
    highest = usual if options.highest is None else options.highest
    print_at_once(
        f"{recipe.name}: up to {options.steps} steps, learning rate from {options.lowest:g} to {highest:g}"
    )
    test = find_learning_rate(
        recipe,
        corpus,
        num_steps=options.steps,
        lowest=options.lowest,
        highest=highest,
        device_name=options.device,
        listener=progress_display(print_at_once),
    )
    print("\n".join([*table(test), "", *verdict(test, recipe)]))
    if options.output:
        save(test, recipe, options.output)
    return 0


def table(test: RangeTest) -> list[str]:
    """Return some twenty rows of the test, evenly spread."""
    num_points = len(test.losses)
    rows = range(num_points - 1, -1, -max(1, num_points // ROWS))
    header = f"{'step':>5} {'learning rate':>14} {'loss':>9} {'smoothed':>9}"
    return [header] + [
        f"{i + 1:5} {test.learning_rates[i]:14.2e} {test.losses[i]:9.3f} {test.smoothed[i]:9.3f}"
        for i in reversed(rows)
    ]


def verdict(test: RangeTest, recipe: TrainRecipe) -> list[str]:
    """Describe what the test found, and what to do with it."""
    end = "until the loss exploded" if test.exploded else "and the loss did not explode"
    lines = [
        f"{len(test.losses)} steps, {end}",
        f"lowest loss at      {test.at_minimum:.1e}: a tenth of it is {test.suggestion:.1e}",
        f"steepest descent at {test.steepest:.1e}",
        f"the recipe has      {recipe.optimizer.learning_rate:.1e}",
    ]
    if test.drop < 0.02 or test.suggestion < test.learning_rates[0]:
        return [*lines, "the loss hardly fell: take more --steps, or look at the data"]
    if test.at_minimum == test.learning_rates[-1]:
        lines.append("the loss was still falling at the highest rate: try a higher --highest")
    return [*lines, f"to try: --set optimizer.learning_rate={test.suggestion:.1e}"]


def save(test: RangeTest, recipe: TrainRecipe, folder: Path) -> None:
    """Write the plot and the numbers."""
    from refrain.training.planning.learning_rate_plot import save_plot

    save_plot(test, recipe.name, folder / "find_lr.svg")
    points = zip(test.learning_rates, test.losses, test.smoothed, strict=True)
    values: dict[str, Any] = {
        "recipe": recipe.to_dict(),
        "suggestion": test.suggestion,
        "lowest_loss_at": test.at_minimum,
        "steepest_at": test.steepest,
        "exploded": test.exploded,
        "points": [
            {"learning_rate": rate, "loss": loss, "smoothed": smoothed}
            for rate, loss, smoothed in points
        ],
    }
    text = json.dumps(values, ensure_ascii=False, indent=2)
    (folder / "find_lr.json").write_text(text + "\n", encoding="utf-8")
    print(f"wrote the plot and the numbers to {folder}")
