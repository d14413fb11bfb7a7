"""`refrain serve`: the HTTP service."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; a flag that is not given comes from its REFRAIN_ variable or its default."""
    parser = commands.add_parser(
        "serve",
        help="serve checkpoints over HTTP",
        description="Serve every checkpoint of a folder over HTTP; each flag may be set as REFRAIN_FLAG too.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    return 0
