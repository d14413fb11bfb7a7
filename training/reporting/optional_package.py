"""Packages of extras, imported when they are asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

from refrain.models.errors import how_to_install
from refrain.training.errors import MissingPackageError


def require(name: str, extra: str) -> ModuleType:
    """Import a package, or a module of it.

    Raises
    ------
    MissingPackageError
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise MissingPackageError(
            f"this needs the package {error.name}: {how_to_install(extra)}"
        ) from error
