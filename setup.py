"""Compiles models/native/refrain.c, once for each kind of processor, with the C compiler of the `ziglang` package."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("models/native/refrain.c")
HEADERS = [
    str(SOURCE.with_name(f"{name}.h"))
    for name in ("cache", "candidates", "choose", "network", "product", "threads", "vector")
]
VARIANTS = {"portable": []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS |= {
        "portable": ["-march=x86_64"],
        "avx2": ["-march=x86_64_v3"],
        "avx512vnni": ["-march=x86_64_v4", "-mavx512vnni"],
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


class CompileVariants(build_ext):
    """Builds plain shared libraries, which are loaded with ctypes."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one variant."""
        variant = ext.name.rpartition("refrain_")[2]
        output = Path(self.get_ext_fullpath(ext.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *VARIANTS[variant]]
        subprocess.run(
            [*command, "-shared", "-fPIC", "-o", output, SOURCE, "-lpthread"], check=True
        )

    def get_ext_filename(self, ext_name: str) -> str:
        """Name the library without Python's version: it does not depend on it."""
        return str(Path(*ext_name.split("."))) + ".so"


setup(
    ext_modules=[
        Extension(f"models.native.refrain_{variant}", [str(SOURCE)], depends=HEADERS)
        for variant in VARIANTS
    ],
    cmdclass={"build_ext": CompileVariants},
)
