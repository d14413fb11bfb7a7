"""The checkpoint that a command is to use: one that is named, or the one that the service would choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refrain.models.checkpoint import describe_checkpoint, find_checkpoint, find_models
from refrain.models.errors import CheckpointError
from refrain.models.text.language import first_of_language, in_order

LANGUAGE_MODELS = ("language_model", "ngram")
CLASSIFIERS = ("classifier",)


class ModelFolder:
    """Checkpoints by name: those of a folder, or those that `refrain serve` takes where none is given.

    Parameters
    ----------
    preferred
        Names that are taken first where none is asked for.
    """

    def __init__(self, folder: Path | None, preferred: Sequence[str]) -> None:
        self._folder = folder
        self._preferred = preferred

    def named(self, name: str) -> Path:
        """Find a checkpoint by its name, or by its own path.

        Raises
        ------
        CheckpointError
            If there is neither.
        """
        return find_checkpoint(name, self._folder)

    def suitable(self, tasks: Sequence[str], language: str | None) -> Path:
        """Find the first checkpoint for a task and, if there is one, of a language.

        Raises
        ------
        CheckpointError
            If there is none for the task.
        """
        found = find_models(self._folder)
        described = {name: describe_checkpoint(path) for name, path in found.items()}
        languages = {
            name: described[name].card.language
            for name in in_order(described, self._preferred)
            if described[name].config.task in tasks
        }
        chosen = first_of_language(languages, language)
        if chosen is None:
            raise CheckpointError(
                f"no {tasks[0].replace('_', ' ')} in {self._folder or 'checkpoints'}; train one with "
                "`refrain train`, point --models to a folder whose sub-folders are checkpoints, or name a --model"
            )
        return found[chosen]
