"""Checkpoints that a run learns from."""

from __future__ import annotations

from pathlib import Path

from refrain.models.checkpoint import Checkpoint, load_checkpoint
from refrain.models.networks.language_model import LanguageModel
from refrain.training.errors import RecipeError


def read_language_model(directory: str, key: str) -> Checkpoint:
    """Read the language model that a recipe's key names.

    Raises
    ------
    RecipeError
        If the checkpoint is no recurrent language model.
    """
    checkpoint = load_checkpoint(Path(directory))
    if not isinstance(checkpoint.model, LanguageModel):
        raise RecipeError(
            f"{key}: {directory} is a {checkpoint.task}, not a recurrent language model"
        )
    return checkpoint
