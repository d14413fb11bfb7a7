"""Model configurations: frozen, validated, and turned to and from plain dictionaries."""

from refrain.models.config.dictionary import ModelConfig, config_from_dict, config_to_dict
from refrain.models.config.networks import (
    CellName,
    ClassifierConfig,
    LanguageModelConfig,
    Nonlinearity,
    Pooling,
    RecurrentConfig,
)
from refrain.models.config.ngram import NGramConfig
from refrain.models.config.validation import wanted_instead

__all__ = [
    "CellName",
    "ClassifierConfig",
    "LanguageModelConfig",
    "ModelConfig",
    "NGramConfig",
    "Nonlinearity",
    "Pooling",
    "RecurrentConfig",
    "config_from_dict",
    "config_to_dict",
    "wanted_instead",
]
