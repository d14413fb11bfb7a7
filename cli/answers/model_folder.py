"""The checkpoint that a command is to use: one that is named, or the one that the service would choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refrain.inference.errors import UnknownModelError
from refrain.models.checkpoint import CONFIG, describe_checkpoint, find_checkpoints
from refrain.models.errors import CheckpointError
from refrain.models.text.language import first_of_language, in_order

LANGUAGE_MODELS = ("language_model", "ngram")
CLASSIFIERS = ("classifier",)


class ModelFolder:
    """A folder whose sub-folders are checkpoints.

    Parameters
    ----------
    preferred
        Names that are taken first where none is asked for.
    """

    def __init__(self, folder: Path, preferred: Sequence[str]) -> None:
        self._folder = folder
        self._preferred = preferred

    def named(self, name: str) -> Path:
        """Find a checkpoint by its name in this folder, or by its own path.

        Raises
        ------
        UnknownModelError
            If there is neither.
        """
        for directory in (self._folder / name, Path(name)):
            if (directory / CONFIG).is_file():
                return directory
        known = ", ".join(path.name for path in find_checkpoints(self._folder)) or "none"
        raise UnknownModelError(
            f"no model named {name!r} in {self._folder}, and no checkpoint at that path; there are: {known}"
        )

    def suitable(self, tasks: Sequence[str], language: str | None) -> Path:
        """Find the first checkpoint for a task and, if there is one, of a language.

        Raises
        ------
        CheckpointError
            If the folder holds none for the task.
        """
        described = {
            path.name: describe_checkpoint(path) for path in find_checkpoints(self._folder)
        }
        languages = {
            name: described[name].card.language
            for name in in_order(described, self._preferred)
            if described[name].config.task in tasks
        }
        chosen = first_of_language(languages, language)
        if chosen is None:
            raise CheckpointError(
                f"{self._folder.resolve()}: holds no {tasks[0].replace('_', ' ')}; train one with `refrain train`, "
                "point --models to a folder whose sub-folders are checkpoints, or name a --model"
            )
        return self._folder / chosen
