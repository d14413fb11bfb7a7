"""Files that survive a kill: forced to the disk before they are renamed into place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def replace_folder(partial: Path, directory: Path) -> None:
    """At any moment one whole snapshot is found."""
    old = directory.with_name(directory.name + ".old")
    if directory.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(directory, old)
    os.replace(partial, directory)
    sync_to_disk(directory.parent)
    shutil.rmtree(old, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, which is replaced but never rewritten, under a second name; a copy where the disk knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync_to_disk(target)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file and wait until it is on the disk."""
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
    sync_to_disk(path)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename must not overtake what it names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
