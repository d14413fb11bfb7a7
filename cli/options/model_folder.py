"""The checkpoint that a command is to use: one that is named, or the one that the service would choose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from refrain.app.settings import Settings
from refrain.models.checkpoint import (
    DEFAULT_FOLDER,
    describe_checkpoint,
    find_checkpoint,
    find_models,
    place_of,
)
from refrain.models.errors import CheckpointError
from refrain.models.text.language import first_of_language, in_order

LANGUAGE_MODELS = ("language_model", "ngram")
CLASSIFIERS = ("classifier",)


class ModelFolder:
    """The checkpoints that the service would serve by these settings, by name."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.models
        self._shipped = settings.shipped
        self._preferred = settings.preferred_names

    def named(self, name: str) -> Path:
        """Find a checkpoint by its name, or by its own path.

        Raises
        ------
        CheckpointError
            If there is neither.
        """
        return find_checkpoint(name, self._folder, shipped=self._shipped)

    def suitable(self, tasks: Sequence[str], language: str | None) -> Path:
        """Find the first checkpoint for a task and, if there is one, of a language.

        Raises
        ------
        CheckpointError
            If there is none for the task.
        """
        found = find_models(self._folder, shipped=self._shipped)
        described = {name: describe_checkpoint(path) for name, path in found.items()}
        languages = {
            name: described[name].card.language
            for name in in_order(described, self._preferred)
            if described[name].config.task in tasks
        }
        chosen = first_of_language(languages, language)
        if chosen is None:
            raise CheckpointError(
                f"no {tasks[0].replace('_', ' ')} in {place_of(self._folder)}; train one with "
                "`refrain train`, point --models to a folder whose sub-folders are checkpoints, or name a --model"
            )
        return found[chosen]


def serving_command(folder: Path) -> str:
    """Return the command that serves the checkpoints of a folder."""
    if folder == DEFAULT_FOLDER:
        return "refrain serve"
    return f"refrain serve --models {shlex.quote(str(folder))}"
