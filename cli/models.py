"""`refrain models`: checkpoints of a folder, and those on the hub."""

from __future__ import annotations

import argparse

from cli import hub


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and those below it."""
    parser = commands.add_parser(
        "models",
        help="fetch and publish checkpoints",
        description="Fetch checkpoints from the hub, and publish them there.",
    )
    hub.add_parsers(parser.add_subparsers(dest="action", required=True, metavar="ACTION"))
