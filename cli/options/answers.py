"""Flags that commands share: what is to answer, and how tokens are sampled."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from refrain.cli.documents.texts import InputError
from refrain.cli.options.processor import add_threads_option
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import PARAMETERS

T = TypeVar("T")


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Describe what is to answer, and in which form."""
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help="a checkpoint: its name in the folder of --models, or its own folder (default: the first that suits "
        "the script of the texts)",
    )
    add_folder_option(parser)
    parser.add_argument("--url", help="ask a running server instead, such as http://127.0.0.1:8000")
    add_precision_option(parser)
    add_threads_option(parser)
    parser.add_argument("--json", action="store_true", help="write a line of JSON for each text")


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """Describe where checkpoints are."""
    parser.add_argument(
        "--models",
        default=argparse.SUPPRESS,
        metavar="FOLDER",
        help="folder of checkpoints (default: REFRAIN_MODELS, else checkpoints and the shipped models)",
    )


def add_precision_option(parser: argparse.ArgumentParser) -> None:
    """Describe the numbers to compute with."""
    parser.add_argument(
        "--precision",
        choices=("auto", "int8", "bf16", "fp32"),
        default="auto",
        help="numbers to compute with in this process (default: auto, int8 where it is fast)",
    )


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Describe how tokens are sampled: a flag for each parameter; one that is not given is left out."""
    for name, parameter in PARAMETERS.items():
        flag, description = f"--{name.replace('_', '-')}", parameter.description.replace("%", "%%")
        if parameter.kind is bool:
            parser.add_argument(
                flag, action="store_true", default=argparse.SUPPRESS, help=description
            )
        else:
            parser.add_argument(
                flag,
                type=parameter.kind,
                default=argparse.SUPPRESS,
                metavar=name.rpartition("_")[2].upper(),
                help=f"{description} (default: {parameter.default})",
            )


def checked(make: Callable[[], T]) -> T:
    """Return what is made of flags.

    Raises
    ------
    InputError
        Naming the flag, for a value that cannot be.
    """
    try:
        return make()
    except InvalidParameterError as error:
        raise InputError(_with_flag(str(error), error.param)) from error


def _with_flag(message: str, param: str | None) -> str:
    """Return a message with the flag instead of the parameter's name, or before it."""
    if not param:
        return message
    flag = f"--{param.replace('_', '-')}"
    if message.startswith(f"{param} "):
        return flag + message.removeprefix(param)
    return f"{flag}: {message}"


def only(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the values that have these names."""
    return {name: values[name] for name in names if name in values}
