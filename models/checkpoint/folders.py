"""Where checkpoints lie: in a folder of one's own, and those that come with Refrain."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Literal

from refrain.models.checkpoint.checkpoint import CONFIG
from refrain.models.errors import CheckpointError

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"
"""Where the checkpoints that come with Refrain lie: beside its packages, in an installation and in the tree."""
SHIPPED_NAMES = ("english", "sentiment-en", "sentiment-zh", "tang")
"""Their names: in the tree one's own runs lie beside them."""
DEFAULT_FOLDER = Path("checkpoints")
logger = logging.getLogger("refrain")


def find_checkpoints(directory: Path) -> list[Path]:
    """List the checkpoints in a folder: every sub-folder with a `config.json`, by name."""
    return sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))


def find_models(folder: Path | None, *, shipped: bool | None = None) -> dict[str, Path]:
    """Find checkpoints by name; one's own win over shipped ones.

    Parameters
    ----------
    folder
        Where one's own lie. None stands for the folder `checkpoints` here, in which checkpoints of other programs are
        passed over with a warning.
    shipped
        Whether the models that come with Refrain are found too; None: only if no folder is named.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    found = _by_name(folder, shipped=shipped)
    if not found:
        raise CheckpointError(
            f"{(folder or DEFAULT_FOLDER).resolve()}: holds no checkpoint; train one with `refrain train`, or point "
            "--models to a folder whose sub-folders are checkpoints"
        )
    return found


def find_checkpoint(
    name: Path | str, folder: Path | None = None, *, shipped: bool | None = None
) -> Path:
    """Find a checkpoint by its name, as `find_models` does, or by its own path.

    Raises
    ------
    CheckpointError
        If nothing is there. A folder that is there and no checkpoint is refused by whoever reads it.
    """
    found, path = _by_name(folder, shipped=shipped), Path(name)
    if str(name) in found:
        return found[str(name)]
    if path.is_dir():
        return path
    known = ", ".join(found) or "none"
    raise CheckpointError(
        f"no model named {str(name)!r} in {place_of(folder)}, and no checkpoint at that path; there are: {known}"
    )


def place_of(folder: Path | None) -> str:
    """Return in words where `find_models` looks."""
    return str(folder or f"{DEFAULT_FOLDER} or among the shipped models")


def unfinished_runs(folder: Path | None) -> list[Path]:
    """List the folders of runs that left a snapshot to go on from, and no checkpoint yet."""
    snapshots = (folder or DEFAULT_FOLDER).glob("*/snapshot")
    return sorted({path.parent for path in snapshots})


def source_of(directory: Path | None) -> Literal["shipped", "folder"]:
    """Return where a checkpoint came from: with Refrain, or from a folder of one's own."""
    return "shipped" if is_shipped(directory) else "folder"


def is_shipped(directory: Path | None) -> bool:
    """Return whether a checkpoint is one of those that come with Refrain."""
    if directory is None:
        return False
    return directory.resolve().parent == SHIPPED and directory.name in SHIPPED_NAMES


def _by_name(folder: Path | None, *, shipped: bool | None) -> dict[str, Path]:
    with_shipped = folder is None if shipped is None else shipped
    ours = [path for path in find_checkpoints(SHIPPED) if path.name in SHIPPED_NAMES]
    own = find_checkpoints(folder or DEFAULT_FOLDER)
    if folder is None:
        own = [path for path in own if not _is_foreign(path)]
        own = [path for path in own if with_shipped or not is_shipped(path)]
    found = {path.name: path for path in (*(ours if with_shipped else ()), *own)}
    return dict(sorted(found.items()))


def _is_foreign(directory: Path) -> bool:
    """Return whether another program wrote a checkpoint, such as one of the `transformers` library."""
    try:
        config = json.loads((directory / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # damaged: whoever reads it says how
    is_foreign = isinstance(config, dict) and "format_version" not in config
    if is_foreign:
        logger.warning("passed over %s: it is not a Refrain checkpoint", directory)
    return is_foreign
