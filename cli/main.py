"""The command line: parse, call the one command asked for, turn named errors to messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cli import (
    card,
    datasets,
    distill,
    evaluate,
    export,
    find_lr,
    fit_cache,
    models,
    serve,
    study,
    train,
)
from models.errors import RefrainError
from training.errors import TrainingStoppedError


def build_parser() -> argparse.ArgumentParser:
    """Describe every command and its flags."""
    parser = argparse.ArgumentParser(
        prog="refrain", description="Train recurrent language models and serve them over HTTP."
    )
    parser.add_argument("--version", action="version", version=f"refrain {version('refrain')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    makers = (train, find_lr, distill, evaluate, fit_cache, study, datasets)
    for command in (serve, *makers, card, models, export):
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 for success, 2 for what the caller can mend, 130 for an interrupt."""
    options = build_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except TrainingStoppedError as error:
        print(f"refrain: {error}", file=sys.stderr)
        return 130
    except RefrainError as error:
        print(f"refrain: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("refrain: interrupted", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
