"""Where checkpoints lie: in a folder of one's own, and those that come with Refrain."""

from __future__ import annotations

from pathlib import Path

from refrain.models.checkpoint.checkpoint import CONFIG
from refrain.models.errors import CheckpointError

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"
"""The checkpoints that come with Refrain: beside its packages, in an installation and in the tree."""
DEFAULT_FOLDER = Path("checkpoints")


def find_checkpoints(directory: Path) -> list[Path]:
    """List the checkpoints in a folder: every sub-folder with a `config.json`, by name."""
    return sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))


def find_models(folder: Path | None, *, with_shipped: bool = False) -> dict[str, Path]:
    """Find checkpoints by name.

    Parameters
    ----------
    folder
        Where one's own lie; None for the folder `checkpoints` here, beside the shipped ones.
    with_shipped
        Find the shipped ones beside those of a named folder too. One's own win by name.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    found = _by_name(folder, with_shipped=with_shipped)
    if not found:
        raise CheckpointError(
            f"{(folder or DEFAULT_FOLDER).resolve()}: holds no checkpoint; train one with `refrain train`, or point "
            "--models to a folder whose sub-folders are checkpoints"
        )
    return found


def find_checkpoint(name: Path | str, folder: Path | None = None) -> Path:
    """Find a checkpoint by its name, as `find_models` does, or by its own path.

    Raises
    ------
    CheckpointError
        If nothing is there. A folder that is there and no checkpoint is refused by whoever reads it.
    """
    found, path = _by_name(folder), Path(name)
    if str(name) in found:
        return found[str(name)]
    if path.is_dir():
        return path
    where = folder or f"{DEFAULT_FOLDER} or among the shipped models"
    known = ", ".join(found) or "none"
    raise CheckpointError(
        f"no model named {str(name)!r} in {where}, and no checkpoint at that path; there are: {known}"
    )


def _by_name(folder: Path | None, *, with_shipped: bool = False) -> dict[str, Path]:
    shipped = find_checkpoints(SHIPPED) if with_shipped or folder is None else []
    found = {path.name: path for path in (*shipped, *find_checkpoints(folder or DEFAULT_FOLDER))}
    return dict(sorted(found.items()))


def unfinished_runs(folder: Path | None) -> list[Path]:
    """List the folders of runs that left a snapshot to go on from, and no checkpoint yet."""
    snapshots = (folder or DEFAULT_FOLDER).glob("*/snapshot")
    return sorted({path.parent for path in snapshots})


def is_shipped(directory: Path | None) -> bool:
    """Return whether a checkpoint is one of those that come with Refrain."""
    return directory is not None and directory.resolve().parent == SHIPPED
