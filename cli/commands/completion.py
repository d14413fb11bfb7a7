"""`refrain completion`: what a shell needs to complete commands, flags, checkpoints and recipes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

EXAMPLES = """examples:
  bash:  refrain completion bash > ~/.local/share/bash-completion/completions/refrain
  zsh:   refrain completion zsh > ~/.zsh/completions/_refrain      # a folder of your fpath
  fish:  refrain completion fish > ~/.config/fish/completions/refrain.fish
  now:   eval "$(refrain completion bash)"
"""
FOLDERS = ("checkpoint", "teacher", "model", "models", "name", "output", "data", "tensorboard")
"""Arguments that take a folder: of a checkpoint, or of several."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        description="Print a script with which a shell completes commands, flags, choices, checkpoints and recipes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script of a shell."""
    import shtab

    parser: argparse.ArgumentParser = options.parser
    for action in _actions(parser):
        _describe(action)
    print(shtab.complete(parser, options.shell), end="")
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _describe(action: argparse.Action) -> None:
    """Describe what an argument may be, where argparse does not know."""
    import shtab

    from refrain.app.settings import Settings

    field = Settings.model_fields.get(action.dest)
    completed = None
    if action.dest == "recipe":
        completed = shtab.glob("*.toml")
    elif action.dest in FOLDERS:
        completed = shtab.DIRECTORY
    elif action.type is Path:
        completed = shtab.FILE
    elif action.choices is None and field and get_origin(field.annotation) is Literal:
        action.choices = get_args(field.annotation)
    if completed:
        action.complete = completed  # type: ignore[attr-defined]
