"""Packages that only the studies need, imported when they are asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

from training.errors import MissingPackageError


def require(name: str) -> ModuleType:
    """Import a package of the extra `studies`.

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
            f"this study needs the package {error.name}: pip install 'refrain[studies]'"
        ) from error
