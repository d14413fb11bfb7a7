"""Compiles the C of models/native, once for each kind of processor, with the C compiler of the `ziglang` package."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("models/native")
# Each library with the headers it is made of, and what its fastest variant may use beyond AVX-512.
LIBRARIES = {
    "refrain": (
        "cache",
        "candidates",
        "choose",
        "network",
        "product",
        "table",
        "threads",
        "vector",
    ),
    "training": ("bf16_product", "team", "vector"),
}
FASTEST = {"refrain": "avx512vnni", "training": "avx512bf16"}
VARIANTS = {"portable": []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS = {
        "portable": ["-march=x86_64"],
        "avx2": ["-march=x86_64_v3"],
        "avx512vnni": ["-march=x86_64_v4", "-mavx512vnni"],
        "avx512bf16": ["-march=x86_64_v4", "-mavx512bf16"],
    }
# No fused multiply-add: all variants are to give the same bytes.
FLAGS = [
    "-O3",
    "-g0",
    "-s",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",
    "-ffp-contract=off",
    "-fno-math-errno",
]


def extensions() -> list[Extension]:
    """List every library in every variant."""
    return [
        Extension(
            f"models.native.{library}_{variant}",
            [str(FOLDER / f"{library}.c")],
            depends=[str(FOLDER / f"{header}.h") for header in headers],
        )
        for library, headers in LIBRARIES.items()
        for variant in VARIANTS
        if variant in ("portable", "avx2", FASTEST[library])
    ]


class CompileVariants(build_ext):
    """Builds plain shared libraries, which are loaded with ctypes."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one variant."""
        variant = ext.name.rpartition("_")[2]
        output = Path(self.get_ext_fullpath(ext.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *VARIANTS[variant]]
        subprocess.run(
            [*command, "-shared", "-fPIC", "-o", output, *ext.sources, "-lpthread"], check=True
        )

    def get_ext_filename(self, ext_name: str) -> str:
        """Name the library without Python's version: it does not depend on it."""
        return str(Path(*ext_name.split("."))) + ".so"


setup(ext_modules=extensions(), cmdclass={"build_ext": CompileVariants})
