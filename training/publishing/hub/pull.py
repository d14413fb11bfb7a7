"""A checkpoint from the hub to a folder of models."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import snapshot_download

from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import CheckpointError
from refrain.training.errors import HubError, OutputExistsError
from refrain.training.publishing.hub.repository import FILES, named_errors


def pull(
    repo_id: str,
    models: Path,
    *,
    name: str = "",
    revision: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Fetch a checkpoint and put it under a folder of models, whole or not at all.

    The files come through the hub's cache, so that what is there already is not fetched again. The folder gets copies,
    not links: it then outlives the cache, can be mounted elsewhere, and a card that is rewritten changes no cache.

    Parameters
    ----------
    name
        What to call it here; empty for the last part of the repository's name.
    revision
        A branch, tag or commit; None for the main branch.

    Returns
    -------
    Path
        The checkpoint's folder.

    Raises
    ------
    OutputExistsError
        If the folder is there already and may not be replaced.
    HubError
        If the hub does not give the files, or the folder cannot be written.
    CheckpointError
        If they are no checkpoint that this version reads.
    """
    target = models / _folder_name(name or repo_id.rpartition("/")[2])
    _check_free(target, overwrite=overwrite)
    with named_errors(repo_id, revision):
        snapshot = Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(FILES)))
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models, prefix=".pull-") as staging:
            new = Path(staging) / target.name  # a level too deep for a server to find
            _copy_checkpoint(repo_id, snapshot, new)
            _put(new, target, Path(staging) / "replaced")
    except OSError as error:
        raise HubError(f"{target} cannot be written: {error}") from error
    return target


def _folder_name(name: str) -> str:
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise HubError(f"{name!r} is no name of a folder; give another --name")
    return name


def _check_free(target: Path, *, overwrite: bool) -> None:
    """Refuse to replace a folder unless `overwrite` is set, or one that holds more than a checkpoint."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{target} is there already; take another --name, or replace it with --overwrite"
        )
    held = [path.name for path in target.iterdir()] if target.is_dir() else ["a file"]
    others = [name for name in held if name not in FILES]
    if others:
        raise OutputExistsError(
            f"{target} holds more than a checkpoint ({', '.join(sorted(others))}); move it away, or take another --name"
        )


def _copy_checkpoint(repo_id: str, snapshot: Path, new: Path) -> None:
    """Copy what the cache holds of a checkpoint, and load the copy to see that it is one."""
    new.mkdir()
    for name in FILES:
        if (snapshot / name).is_file():
            shutil.copyfile(snapshot / name, new / name)
    try:
        load_checkpoint(new)
    except CheckpointError as error:
        fault = str(error).replace(f"{new}{os.sep}", "")
        raise CheckpointError(f"{repo_id} holds no checkpoint to serve: {fault}") from error


def _put(new: Path, target: Path, replaced: Path) -> None:
    """Move a folder to its place; what was there is gone only when the new one is in it."""
    if os.path.lexists(target):
        target.rename(replaced)
    try:
        new.rename(target)
    except OSError:
        if os.path.lexists(replaced) and not os.path.lexists(target):
            replaced.rename(target)
        raise
