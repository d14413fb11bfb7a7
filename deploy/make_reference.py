"""Write the reference pages that come from the code: the HTTP routes, the command line, the keys of recipes.

    python deploy/make_reference.py

They are made anew for each build of the site (`make docs`), so they are never out of date, and never committed.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, get_type_hints

from refrain.app.main import assemble
from refrain.app.services.registry import Registry
from refrain.app.settings import Settings
from refrain.cli.main import build_parser
from refrain.training.recipe.train_recipe import GIVEN_BY_CORPUS, MODEL_CONFIGS, TrainRecipe

MANY = 1e15
"""Above it a limit is no limit that anybody meets."""
HERE = Path("docs/reference")
NOTE = "<!-- Made by deploy/make_reference.py; do not edit. -->"


def one_line(text: object) -> str:
    """Write a text so that it fits into a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


# HTTP


def type_of(schema: dict[str, Any]) -> str:
    """Return in a few words what values a schema takes."""
    if "$ref" in schema:
        return "object"
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            names = [type_of(each) for each in schema[kind]]
            return " or ".join(dict.fromkeys(name for name in names if name != "null"))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def limits_of(schema: dict[str, Any]) -> str:
    """Return the limits of a value, in words."""
    inner = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    words = [
        f"{sign} {inner[key]:,g}" if inner[key] < MANY else ""
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in inner
    ]
    return ", ".join(filter(None, words))


def fields(schema: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each field of a body."""
    required = schema.get("required", ())
    yield "| field | takes | default | |"
    yield "|---|---|---|---|"
    for name, field in schema["properties"].items():
        value = field.get("default", "")
        default = "required" if name in required else ("" if value == "" else f"`{value}`")
        takes = ", ".join(filter(None, (type_of(field), limits_of(field))))
        yield f"| `{name}` | {takes} | {default} | {one_line(field.get('description', ''))} |"


def http_page() -> str:
    """Describe every route of the service."""
    description = assemble(Settings(), Registry([], []), "cpu").openapi()
    schemas = description["components"]["schemas"]
    by_theme: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            lines = by_theme.setdefault(operation["tags"][0], [])
            lines += [f"### `{method.upper()} {path}`", "", operation.get("description", ""), ""]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body and "$ref" in body["schema"]:
                lines += [*fields(schemas[body["schema"]["$ref"].rpartition("/")[2]]), ""]
            statuses = [status for status in operation["responses"] if status != "200"]
            if statuses:
                lines += [f"Refusals: {', '.join(statuses)}.", ""]
    parts = [
        "# HTTP",
        NOTE,
        "The service describes itself at `/docs`, where every route can be tried.",
    ]
    for theme, lines in by_theme.items():
        parts += [f"## {theme}", "\n".join(lines).rstrip()]
    return "\n\n".join(parts) + "\n"


# The command line


def command_page() -> str:
    """Return every command's help."""
    parts = ["# Command line", NOTE]
    for command in commands_of(build_parser()):
        parts += [f"## {command.prog}", f"```text\n{command.format_help().rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield every command, and those below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from commands_of(command)


# Recipes


def attributes(kind: type) -> dict[str, str]:
    """Read the description of each attribute from a docstring in NumPy style."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.getdoc(kind).partition("Attributes")[2].splitlines()[2:]:  # type: ignore[union-attr]
        if re.fullmatch(r"[a-z_]+(, [a-z_]+)*", line):
            names = line.split(", ")
        elif names and line.startswith(" "):
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def table_of(kind: type, left_out: Collection[str] = ()) -> Iterator[str]:
    """Yield a row for each key of a table of a recipe."""
    documented = attributes(kind)
    yield "| key | default | |"
    yield "|---|---|---|"
    for field in dataclasses.fields(kind):
        if field.name not in left_out:
            default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
            yield f"| `{field.name}` | {default} | {one_line(documented.get(field.name, ''))} |"


def recipe_page() -> str:
    """Describe the tables of a recipe and their keys."""
    kinds = get_type_hints(TrainRecipe)
    tables = {name: kind for name, kind in kinds.items() if dataclasses.is_dataclass(kind)}
    parts = [
        "# Recipes",
        NOTE,
        "A recipe is a TOML file: these keys, then tables. `--set TABLE.KEY=VALUE` overrides one.",
        "\n".join(table_of(TrainRecipe, [*tables, "model"])),
    ]
    for name, kind in tables.items():
        parts += [f"## [{name}]", "\n".join(table_of(kind))]
    for task, kind in MODEL_CONFIGS.items():
        parts += [f"## [model] of a {task}", "\n".join(table_of(kind, GIVEN_BY_CORPUS))]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write all three."""
    os.environ["COLUMNS"] = "100"
    pages = {"http": http_page(), "command-line": command_page(), "recipes": recipe_page()}
    for name, text in pages.items():
        (HERE / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
