"""Who answers a command's questions: a model in this process, or a running server. The JSON is the same."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from app.api.schemas.body import Body
from app.api.schemas.generate import GenerateBody
from app.api.schemas.next_token import NextBody
from app.api.schemas.score import ScoreBody
from app.api.schemas.sentiment import SentimentBody
from cli.texts import InputError

BodyT = TypeVar("BodyT", bound=Body)
Answer = dict[str, Any]
OnText = Callable[[str], None]


class Answers(Protocol):
    """One answer for each text of a body, in order; a model is chosen once, by the first body's texts.

    Attributes
    ----------
    max_texts
        Texts that a body may have.
    """

    max_texts: int

    def generate(self, body: GenerateBody, on_text: OnText | None = None) -> Iterator[Answer]:
        """Continue prompts, each as a request of its own; `on_text` hears a single one as it is written."""

    def score(self, body: ScoreBody) -> Iterator[Answer]:
        """Measure texts."""

    def next(self, body: NextBody) -> Iterator[Answer]:
        """Predict what follows prefixes."""

    def sentiment(self, body: SentimentBody) -> Iterator[Answer]:
        """Judge reviews."""

    def close(self) -> None:
        """Let go of what is open."""


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Describe who is to answer, and in which form."""
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help="a checkpoint: its name in the folder of --models, or its own folder (default: the first that suits "
        "the script of the texts)",
    )
    add_folder_option(parser)
    parser.add_argument("--url", help="ask a running server instead, such as http://127.0.0.1:8000")
    parser.add_argument(
        "--precision",
        choices=("auto", "int8", "bf16", "fp32"),
        default="auto",
        help="numbers to compute with in this process (default: auto, int8 where it is fast)",
    )
    add_threads_option(parser)
    parser.add_argument("--json", action="store_true", help="write a line of JSON for each text")


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """Describe where checkpoints are."""
    parser.add_argument(
        "--models",
        default=argparse.SUPPRESS,
        metavar="FOLDER",
        help="folder of checkpoints (default: REFRAIN_MODELS, else checkpoints)",
    )


def add_threads_option(parser: argparse.ArgumentParser) -> None:
    """Describe how many threads share a step."""
    parser.add_argument(
        "--num-threads",
        type=int,
        default=0,
        metavar="THREADS",
        help="threads of one step (default: as many as there are processors)",
    )


def num_threads_of(options: argparse.Namespace) -> int:
    """Give the threads of a step.

    Raises
    ------
    InputError
        If there are to be less than none.
    """
    if options.num_threads < 0:
        raise InputError(f"--num-threads: at least 1, not {options.num_threads}")
    return options.num_threads or len(os.sched_getaffinity(0))


def answers_of(options: argparse.Namespace) -> Answers:
    """Make who answers."""
    if options.url:
        from cli.remote_answers import RemoteAnswers

        return RemoteAnswers(options.url, options.model)
    from cli.local_answers import LocalAnswers
    from cli.serve import read_settings

    settings = read_settings(argparse.Namespace(**_only(vars(options), "models")))
    return LocalAnswers(settings, options.model, options.precision, num_threads_of(options))


def body_of(kind: type[BodyT], options: argparse.Namespace, **texts: Any) -> BodyT:
    """Make the body of a request of the flags that were given.

    Raises
    ------
    InputError
        Naming the flag, for a value that cannot be.
    """
    given = {
        name: value
        for name, value in vars(options).items()
        if name in kind.model_fields and name not in ("model", *texts)
    }
    try:
        return kind(**texts, **given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else str(fault.get("ctx", {}).get("name", ""))
        flag = f"--{name.replace('_', '-')}: " if name and name not in texts else ""
        raise InputError(f"{flag}{fault['msg']}") from error


def add_field(
    parser: argparse._ActionsContainer, kind: type[Body], name: str, **settings: Any
) -> None:
    """Describe a flag by the field of a request that it fills."""
    field = kind.model_fields[name]
    default = f" (default: {field.default})" if isinstance(field.default, (int, float)) else ""
    if settings.get("action"):
        default = ""
    else:
        settings.setdefault("metavar", name.rpartition("_")[2].upper())
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        default=argparse.SUPPRESS,
        help=f"{field.description}{default}".replace("%", "%%"),
        **settings,
    )


def _only(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
