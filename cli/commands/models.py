"""`refrain models`: the checkpoints of a folder, the card of one, and those on the hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from refrain.cli.commands import hub
from refrain.cli.options.answers import add_folder_option
from refrain.cli.output import formatted, write_json

EXAMPLES = """examples:
  refrain models                       # a table of ./checkpoints and the shipped models
  refrain models show tang             # its card
  refrain models pull OWNER/tang       # from the Hugging Face hub
  refrain models --json | jq -r 'select(.language == "en") | .name'
  refrain models --models runs
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "models",
        help="list checkpoints, show one's card, fetch and publish them",
        description="List the checkpoints of a folder; or show the card of one, fetch one, publish one.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(metavar="ACTION")
    show = actions.add_parser("show", help="show a checkpoint's card")
    show.add_argument("name", metavar="NAME", help="a checkpoint of the folder, or a folder")
    _add_options(show)
    show.set_defaults(run=run_show)
    hub.add_parsers(actions)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_folder_option(parser)
    parser.add_argument("--json", action="store_true", help="write a line of JSON for each")


def run(options: argparse.Namespace) -> int:
    """Print a table."""
    from refrain.cli.options.settings import read_settings
    from refrain.models.checkpoint import find_models

    settings = read_settings(options)
    found = find_models(settings.models, shipped=settings.shipped)
    return _list(list(found.values()), is_json=options.json)


def run_show(options: argparse.Namespace) -> int:
    """Print a card."""
    from refrain.cli.options.model_folder import ModelFolder
    from refrain.cli.options.settings import read_settings
    from refrain.models.checkpoint import README

    directory = ModelFolder(read_settings(options)).named(options.name)
    if options.json:
        return _list([directory], is_json=True)
    card = directory / README
    print(
        card.read_text(encoding="utf-8") if card.is_file() else _table([_facts(directory)]), end=""
    )
    return 0


def _list(directories: list[Path], *, is_json: bool) -> int:
    rows = [_facts(directory) for directory in directories]
    if is_json:
        for row in rows:
            write_json(row)
    else:
        print(_table(rows), end="")
    return 0


def _facts(directory: Path) -> dict[str, Any]:
    """Describe what a checkpoint is; its weights are not read."""
    from refrain.models.checkpoint import describe_checkpoint, source_of
    from refrain.models.config import NGramConfig

    described = describe_checkpoint(directory)
    card, config = described.card, described.config
    of_itself = {m.name: m.value for m in card.metrics if m.split == "test" and not m.model}
    return {
        "name": described.name,
        "source": source_of(directory),
        "task": config.task,
        "cell": None if isinstance(config, NGramConfig) else config.cell,
        "num_parameters": _num_parameters(config),
        "tokenizer": described.tokenizer_kind,
        "vocab_size": config.vocab_size,
        "language": card.language,
        "test": of_itself,
        "license": card.license,
        "description": card.description,
    }


def _num_parameters(config: Any) -> int | None:
    """Count the parameters of a network that has none yet."""
    import torch

    from refrain.models.config import ClassifierConfig, NGramConfig
    from refrain.models.networks.classifier import Classifier
    from refrain.models.networks.language_model import LanguageModel

    if isinstance(config, NGramConfig):
        return None
    kind = Classifier if isinstance(config, ClassifierConfig) else LanguageModel
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind(config).parameters())


def _table(rows: list[dict[str, Any]]) -> str:
    header = ("name", "task", "cell", "parameters", "vocabulary", "language", "test", "licence")
    lines = [header, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    parameters = row["num_parameters"]
    return (
        row["name"],
        row["task"].replace("_", " "),
        row["cell"] or "-",
        "-" if parameters is None else f"{parameters / 1e6:.1f}M",
        f"{row['vocab_size']:,} {row['tokenizer']}",
        row["language"],
        _measured(row["test"]),
        row["license"],
    )


def _measured(test: dict[str, float]) -> str:
    if "perplexity" in test:
        return f"perplexity {formatted(test['perplexity'])}"
    return f"accuracy {test['accuracy']:.1%}" if "accuracy" in test else "-"
