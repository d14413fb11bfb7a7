"""Configurations as plain dictionaries: what stands on disk and in JSON."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from refrain.models.config.networks import ClassifierConfig, LanguageModelConfig
from refrain.models.config.ngram import NGramConfig
from refrain.models.errors import ConfigError

ModelConfig = LanguageModelConfig | ClassifierConfig | NGramConfig
STORED_NAMES = {"eos_id": "boundary_id"}
"""Fields that stand on disk and in JSON under another name, and which."""

_CONFIGS: dict[str, type[ModelConfig]] = {
    config.task: config for config in (LanguageModelConfig, ClassifierConfig, NGramConfig)
}


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Return a configuration as a plain dictionary with its task, as it stands on disk and in JSON."""
    values = asdict(config).items()
    return {"task": config.task, **{STORED_NAMES.get(name, name): value for name, value in values}}


def config_from_dict(values: dict[str, Any]) -> ModelConfig:
    """Make the configuration that a dictionary with a `task` describes.

    Raises
    ------
    ConfigError
        For an unknown task or key, a missing key, or a value out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"a model is described by a table of keys and values, not {values!r}")
    values = dict(values)
    task = values.pop("task", None)
    if task not in _CONFIGS:
        raise ConfigError(f"task must be one of {', '.join(_CONFIGS)}, not {task!r}")
    config = _CONFIGS[task]
    stored = {STORED_NAMES.get(each.name, each.name): each.name for each in fields(config)}
    if unknown := sorted(set(values) - set(stored)):
        raise ConfigError(f"a {task} has no setting {', '.join(unknown)}")
    try:
        return config(**{stored[name]: value for name, value in values.items()})
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{task}: {error}") from error
