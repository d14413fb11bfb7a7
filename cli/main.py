"""The command line: parse, call the one command asked for, turn named errors to messages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from refrain.cli.commands import (
    bench,
    card,
    completion,
    datasets,
    distill,
    embed,
    evaluate,
    export,
    filter_documents,
    find_lr,
    fit_cache,
    generate,
    models,
    next_token,
    rescore,
    score,
    sentiment,
    serve,
    study,
    train,
)
from refrain.models.errors import RefrainError
from refrain.training.errors import TrainingStoppedError
from refrain.version import __version__

COMMANDS = (
    serve,
    generate,
    score,
    next_token,
    rescore,
    embed,
    sentiment,
    filter_documents,
    models,
    train,
    find_lr,
    distill,
    evaluate,
    fit_cache,
    study,
    card,
    export,
    datasets,
    bench,
    completion,
)


def build_parser() -> argparse.ArgumentParser:
    """Describe every command and its flags."""
    parser = argparse.ArgumentParser(
        prog="refrain", description="Train recurrent language models and serve them over HTTP."
    )
    parser.add_argument("--version", action="version", version=f"refrain {__version__}")
    parser.set_defaults(parser=parser)  # for the command that describes all others
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 for success, 2 for what the caller can mend, 130 for an interrupt, 141 for a closed pipe."""
    options = build_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has had enough, as `head` has; what is still buffered must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except TrainingStoppedError as error:
        print(f"refrain: {error}", file=sys.stderr)
        return 130
    except (RefrainError, OSError) as error:
        print(f"refrain: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("refrain: interrupted", file=sys.stderr)
        return 130
    return status
