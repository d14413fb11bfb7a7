"""`refrain card`: write the model cards of checkpoints anew."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  refrain card checkpoints/tang
  refrain card checkpoints/*
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "card",
        help="rewrite the model card of a checkpoint",
        description="Rewrite the README.md and tokenizer_config.json of checkpoints from their "
        "config.json. Metrics, weights and config.json stay as they are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders of checkpoints")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rewrite one card after the other."""
    from refrain.models.checkpoint import README
    from refrain.training.publishing.card import rewrite_card

    for directory in options.checkpoints:
        rewrite_card(directory)
        print(f"wrote {directory / README}")
    return 0
