"""Find and load the variant of a compiled library that suits this processor."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from enum import IntFlag
from functools import cache
from pathlib import Path

from refrain.models.errors import NativeLibraryError


class Feature(IntFlag):
    """What a processor runs and its operating system saves: the bits of `processor_features` in processor.h."""

    AVX2 = 1
    AVX512 = 2
    AVX512_VNNI = 4
    AVX512_BF16 = 8


VARIANTS = {
    "portable": Feature(0),
    "avx2": Feature.AVX2,
    "avx512vnni": Feature.AVX512_VNNI,
    "avx512bf16": Feature.AVX512_BF16,
}
"""What each variant needs, slowest first; a library has some of them, "portable" always."""


class NativeLibrary:
    """A library of C, compiled once for each kind of processor and opened with ctypes.

    Parameters
    ----------
    stem
        Its path without the variant: "step" stands for step_portable.so, step_avx2.so and so on.
    structures
        Those that Python fills, in the order in which the library's own `native_layout` counts their sizes.
    declare
        Declares to ctypes what its functions take and return, and prepares it for use.
    """

    def __init__(
        self,
        stem: Path,
        structures: Sequence[type[ctypes.Structure]],
        declare: Callable[[ctypes.CDLL], None],
    ) -> None:
        self._stem = stem
        self._structures = structures
        self._declare = declare
        self.load = cache(self._load)

    def built_variants(self) -> list[str]:
        """List the variants that were built on this machine, slowest first."""
        return [variant for variant in VARIANTS if self._path(variant).exists()]

    def best_variant(self) -> str:
        """Return the fastest variant that was built and that this processor runs.

        Raises
        ------
        NativeLibraryError
            If nothing was built; the message says how to build it.
        """
        features = Feature(self.load("portable").processor_features())
        return [each for each in self.built_variants() if VARIANTS[each] in features][-1]

    def _load(self, variant: str | None = None) -> ctypes.CDLL:
        """Open a variant, or the best one; `load` does so once, as a training step asks for it again and again."""
        return self.open(variant) if variant else self.load(self.best_variant())

    def open(self, variant: str) -> ctypes.CDLL:
        """Open a variant anew.

        Raises
        ------
        NativeLibraryError
            If it was not built, or its structures have other sizes than ours; the message says how to build it.
        """
        path = self._path(variant)
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise NativeLibraryError(
                f"{path} cannot be loaded ({error}); install Refrain again (`pip install --editable .` in its tree)"
            ) from error
        if not self._has_our_layout(library):
            raise NativeLibraryError(
                f"{path} was built from other sources; install Refrain again (`pip install --editable .` in its tree)"
            )
        self._declare(library)
        return library

    def _has_our_layout(self, library: ctypes.CDLL) -> bool:
        total = 0
        for structure in self._structures:
            total = total * 1000 + ctypes.sizeof(structure)
        layout = getattr(library, "native_layout", None)
        if layout is None:
            return False
        layout.restype = ctypes.c_int64
        return bool(layout() == total)

    def _path(self, variant: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}_{variant}.so")
