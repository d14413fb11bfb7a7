"""`refrain distill`: train a small language model on a larger one's predictions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from refrain.cli.commands import train

EXAMPLES = """examples:
  refrain train recipes/tang.toml --set model.hidden_size=1024 --output runs/tang-teacher
  refrain distill runs/tang-teacher recipes/tang.toml
  refrain distill runs/tang-teacher recipes/tang.toml --weight 0.8 --set budget.epochs=10
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "distill",
        help="train a small language model on a larger one's predictions",
        description="Train a recipe's language model as `refrain train` does, but to predict what a trained one "
        "predicts as well as the text. The student takes its teacher's tokenizer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("teacher", type=Path, help="the folder of the teacher's checkpoint")
    parser.add_argument(
        "--weight",
        type=float,
        help="the same as --set distillation.weight=WEIGHT: share of the loss that is the teacher's",
    )
    train.add_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train with a teacher."""
    teacher = json.dumps(str(options.teacher), ensure_ascii=False)
    options.overrides.append(f"distillation.teacher={teacher}")
    if options.weight is not None:
        options.overrides.append(f"distillation.weight={options.weight}")
    return train.run(options)
