"""Find and load the compiled library that suits this processor."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

from models.errors import NativeLibraryError
from models.native.structures import STRUCTURES, declare

FOLDER = Path(__file__).parent


def best_variant() -> str:
    """Return the fastest variant that this processor runs: "avx512vnni", "avx2" or "portable"."""
    if torch.cpu._is_avx512_supported() and torch.cpu._is_vnni_supported():
        return "avx512vnni"
    return "avx2" if torch.cpu._is_avx2_supported() else "portable"


def built_variants() -> list[str]:
    """List the variants that were built on this machine."""
    return sorted(path.stem.removeprefix("refrain_") for path in FOLDER.glob("refrain_*.so"))


@cache
def load_library(variant: str | None = None) -> ctypes.CDLL:
    """Load a variant, or the best one.

    Raises
    ------
    NativeLibraryError
        If it was not built, or from other sources; the message says how to build it.
    """
    path = FOLDER / f"refrain_{variant or best_variant()}.so"
    library = open_library(path, "refrain_layout", STRUCTURES)
    declare(library)
    return library


def open_library(
    path: Path, layout: str, structures: Sequence[type[ctypes.Structure]]
) -> ctypes.CDLL:
    """Open a compiled library whose function `layout` returns the sizes of these very structures.

    Raises
    ------
    NativeLibraryError
        If it was not built, or from other sources; the message says how to build it.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeLibraryError(
            f"{path} cannot be loaded ({error}); build it with `pip install --editable .`"
        ) from error
    total = 0
    for structure in structures:
        total = total * 1000 + ctypes.sizeof(structure)
    found = getattr(library, layout, None)
    if found:
        found.restype = ctypes.c_int64
    if not found or found() != total:
        raise NativeLibraryError(
            f"{path} was built from other sources; build it again with `pip install --editable .`"
        )
    return library
