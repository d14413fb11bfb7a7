"""The import name: the public face, `python -m refrain`, and links to the folders.

This is the import name of everything: `refrain.models`, `refrain.inference`, `refrain.training`, `refrain.app`,
`refrain.cli` and `refrain.client` are the folders of these names beside this one. docs/versions.md lists what is
public, and what an upgrade keeps of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from refrain.version import __version__

if TYPE_CHECKING:
    from refrain.client import AsyncClient, Client
    from refrain.inference.local import LocalModel, WordScorer

__all__ = ["AsyncClient", "Client", "LocalModel", "WordScorer", "__version__"]

_HOMES = {
    "AsyncClient": "refrain.client",
    "Client": "refrain.client",
    "LocalModel": "refrain.inference.local",
    "WordScorer": "refrain.inference.local",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: a client needs httpx alone, a model torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
