"""What a checkpoint says of itself: where it comes from, what it may be used for, how good it measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from refrain.models.errors import ConfigError


@dataclass(frozen=True)
class Metric:
    """One measured figure.

    Attributes
    ----------
    name
        "perplexity", "bits_per_character", "accuracy", "binary_accuracy", ...
    split
        "validation" or "test".
    model
        What was measured: "" for the checkpoint itself, else a baseline's name.
    """

    name: str
    split: str
    value: float
    model: str = ""

    def __post_init__(self) -> None:
        is_text = all(isinstance(text, str) for text in (self.name, self.split, self.model))
        is_number = isinstance(self.value, (int, float)) and math.isfinite(self.value)
        if not is_text or not is_number:
            raise ConfigError(f"card: {self.name!r} is no figure: {self.value!r}")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of a model card.

    Attributes
    ----------
    dataset
        Name in the dataset registry, or the file that the model was trained on.
    license
        Terms of the training data and the weights.
    recipe
        The recipe that made the checkpoint.
    text_sha256
        Of the text file that it was trained on, if it was one.
    training
        Free facts of the run: epochs, tokens, seconds, machine, precision.
    """

    description: str
    language: str
    license: str
    dataset: str
    recipe: str = ""
    text_sha256: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        for name in ("description", "language", "license", "dataset", "recipe", "text_sha256"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"card: {name} must be text, not {getattr(self, name)!r}")
        if not isinstance(self.training, dict):
            raise ConfigError(f"card: training must be a table, not {self.training!r}")

    def to_dict(self) -> dict[str, Any]:
        """Turn to a plain dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Card:
        """Read what `to_dict` gave.

        Raises
        ------
        ConfigError
            For an unknown or missing key.
        """
        try:
            metrics = tuple(Metric(**metric) for metric in values.get("metrics", ()))
            return cls(**{**values, "metrics": metrics})
        except TypeError as error:
            raise ConfigError(f"card: {error}") from error
