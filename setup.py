"""Maps the folders to packages of `refrain`, and compiles the C of models/native with the `ziglang` package's compiler.

Folders stand at the top level and are imported as `refrain.FOLDER`. Links in refrain/ show them to whatever reads the
tree; an installation does without, since a link may have been unpacked as a text file.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDERS = ("app", "cli", "client", "inference", "models", "training")
SHIPPED = (
    "english",
    "sentiment-en",
    "sentiment-zh",
    "tang",
)  # not one's own runs, which may lie beside them
NATIVE = Path("models/native")
# Each library, with what its fastest variant may use beyond AVX-512.
LIBRARIES = {"step": "avx512vnni", "layer": "avx512bf16"}
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


def package_dir() -> dict[str, str]:
    """Map packages to the folders they come from; the shipped checkpoints are data that lies in a package."""
    folders = {f"refrain.{folder}": folder for folder in FOLDERS}
    return {"refrain": "refrain", **folders, "refrain.checkpoints": "checkpoints"}


def packages() -> list[str]:
    """List every package, found by walking the folders themselves."""
    found = (init.parent for folder in FOLDERS for init in Path(folder).rglob("__init__.py"))
    return ["refrain", *sorted(f"refrain.{'.'.join(each.parts)}" for each in found)]


def extensions() -> list[Extension]:
    """List every library in every variant."""
    return [
        Extension(
            f"refrain.models.native.{library}.{library}_{variant}",
            [str(NATIVE / library / f"{library}.c")],
            depends=sorted(map(str, NATIVE.rglob("*.h"))),
        )
        for library, fastest in LIBRARIES.items()
        for variant in VARIANTS
        if variant in ("portable", "avx2", fastest)
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


setup(
    packages=[*packages(), "refrain.checkpoints"],
    package_dir=package_dir(),
    package_data={
        "refrain": ["py.typed"],
        "refrain.app": ["web/*", "web/*/*"],
        "refrain.checkpoints": [f"{name}/*" for name in SHIPPED],
        "refrain.models.native": ["*.h", "*/*.c", "*/*.h"],
    },
    py_modules=["refrain_client"],
    ext_modules=extensions(),
    cmdclass={"build_ext": CompileVariants},
)
