"""From TOML and `--set KEY=VALUE` to a recipe whose names and types are checked."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refrain.models.config import (
    wanted_instead,
)
from refrain.training.errors import RecipeError
from refrain.training.recipe.budget import BudgetRecipe
from refrain.training.recipe.checks import require, require_known
from refrain.training.recipe.corpus import DataRecipe, TokenizerRecipe
from refrain.training.recipe.optimizer import OptimizerRecipe
from refrain.training.recipe.train_recipe import (
    CardRecipe,
    DistillationRecipe,
    TrainRecipe,
)

_SECTIONS: dict[str, type[Any]] = {
    "data": DataRecipe,
    "tokenizer": TokenizerRecipe,
    "optimizer": OptimizerRecipe,
    "budget": BudgetRecipe,
    "distillation": DistillationRecipe,
    "card": CardRecipe,
}


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainRecipe:
    """Read a recipe file and apply `section.key=value` overrides.

    Raises
    ------
    RecipeError
        If the file is missing, is no TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe at {path}; `ls recipes` shows those that exist") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    values.setdefault("name", path.stem)
    return make_recipe(values, overrides)


def make_recipe(values: dict[str, Any], overrides: Sequence[str] = ()) -> TrainRecipe:
    """Make a recipe of nested dictionaries and `section.key=value` overrides.

    Raises
    ------
    RecipeError
        For an unknown key or a value of the wrong type.
    """
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    for override in overrides:
        _apply(values, override)
    for section, kind in _SECTIONS.items():
        values[section] = _build(kind, values.get(section, {}), f"[{section}] ")
    recipe: TrainRecipe = _build(TrainRecipe, values, "")
    return recipe


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise RecipeError(f"--set takes KEY=VALUE, such as budget.epochs=3, not {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, name = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {key}: {section} is no section")
    values[name] = value


def _build(kind: type[Any], values: Any, where: str) -> Any:
    """Make a section, checking the names and types of its values."""
    if not isinstance(values, dict):
        raise RecipeError(f"{where}must be a table of keys and values, not {values!r}")
    types = {f.name: f.type for f in dataclasses.fields(kind)}
    require_known(values, list(types), where or "the recipe ")
    for name, value in values.items():
        _check_type(f"{where}{name}", types[name], value)
    return kind(**values)


def _check_type(name: str, annotation: Any, value: Any) -> None:
    wanted = wanted_instead(str(annotation), value)
    require(not wanted, f"{name} must be {wanted}, not {value!r}")
    if isinstance(value, float):
        require(math.isfinite(value), f"{name} must be a number, not {value}")
