"""What a path on the command line stands for: a file, a pipe, or with "-" a standard stream."""

from __future__ import annotations

from pathlib import Path

from refrain.cli.documents.texts import InputError

STANDARD = Path("-")
"""Standard input, or standard output."""


def is_special(path: Path) -> bool:
    """Return whether something is there that is not a regular file, such as a pipe."""
    return path.exists() and not path.is_file()


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether what is written to two paths ends in one file; a terminal or another device may take both."""
    if one == other:
        return True
    one, other = (Path("/dev/stdout") if path == STANDARD else path for path in (one, other))
    if one.exists() and other.exists():
        return one.samefile(other) and not one.is_char_device()
    return one.resolve() == other.resolve()


def refuse_zstandard(path: Path) -> None:
    """Refuse what Python cannot read by itself.

    Raises
    ------
    InputError
        For a name that ends in .zst.
    """
    if path.suffix == ".zst":
        raise InputError(
            f"{path}: Zstandard is not supported; pipe it: zstd -dc {path.name} | refrain filter - ... | zstd"
        )
