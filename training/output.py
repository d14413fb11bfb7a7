"""The folder that a run writes to: its own, writable, and held by one run at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from refrain.models.checkpoint import CONFIG, README, RUN_LOG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS
from refrain.training.errors import OutputError, OutputExistsError
from refrain.training.optimize.snapshot import BEST, SNAPSHOT, find_snapshot

RECIPE = "recipe.json"
LEFT_BY_RUNS = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, README, RECIPE, RUN_LOG, BEST)
SNAPSHOTS = (SNAPSHOT, f"{SNAPSHOT}.old", f"{SNAPSHOT}.partial")


def make_folder(folder: Path) -> None:
    """Make a folder where there is none.

    Raises
    ------
    OutputError
        If it cannot be made, or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be made: {error.strerror}; give another --output"
        ) from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"nothing can be written in {folder}; give another --output")


@contextmanager
def held_folder(
    folder: Path, *, resume: bool, overwrite: bool, sources: Sequence[str] = ()
) -> Iterator[None]:
    """Make a run's folder and hold it until the run is over; take it away again if nothing came into it.

    Parameters
    ----------
    sources
        Checkpoints that the run learns from, which its folder must not be.

    Raises
    ------
    OutputError
        If nothing can be written there, or another run holds it.
    OutputExistsError
        If it has what the run would destroy: a source, files that no run left, or, without `overwrite`, a checkpoint
        or an unfinished run that is not to be resumed.
    """
    _require_no_source(folder, sources)
    make_folder(folder)
    with _locked(folder):
        try:
            if not overwrite:
                _require_free(folder, resume=resume)
            _require_left_by_run(folder)
            yield
        finally:
            with suppress(OSError):
                folder.rmdir()


def clear(folder: Path) -> None:
    """Take away what an earlier run left, and nothing else."""
    for name in LEFT_BY_RUNS:
        (folder / name).unlink(missing_ok=True)
    for name in SNAPSHOTS:
        shutil.rmtree(folder / name, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system takes away with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(folder, descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"another run is writing to {folder}; wait for it, or give another --output"
        ) from error


def _require_no_source(folder: Path, sources: Sequence[str]) -> None:
    """Refuse to replace a checkpoint that the run learns from."""
    for source in sources:
        if Path(source).resolve() == folder.resolve():
            raise OutputExistsError(
                f"{folder} is what the run is to learn from; give another --output"
            )


def _require_free(folder: Path, *, resume: bool) -> None:
    """Refuse to touch what an earlier run left."""
    if (folder / CONFIG).exists():
        raise OutputExistsError(
            f"{folder} already holds a finished checkpoint; give another --output, or --overwrite"
        )
    if find_snapshot(folder / SNAPSHOT) and not resume:
        raise OutputExistsError(
            f"{folder} holds an unfinished run; go on with --resume, or start anew with --overwrite"
        )


def _require_left_by_run(folder: Path) -> None:
    """Refuse to replace files that only bear the names of a run's."""
    if find_snapshot(folder / SNAPSHOT) or any((folder / n).exists() for n in (RECIPE, RUN_LOG)):
        return
    found = [name for name in (*LEFT_BY_RUNS, *SNAPSHOTS) if (folder / name).exists()]
    if found:
        raise OutputExistsError(
            f"{folder} has files that no run left ({', '.join(found)}) and that this one would replace; "
            "give another --output"
        )
