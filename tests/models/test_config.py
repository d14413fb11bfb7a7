"""Configurations refuse what no model can be, and survive their dictionary."""

import math

import pytest

from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    NGramConfig,
    config_from_dict,
    config_to_dict,
)
from refrain.models.errors import ConfigError

CONFIGS = [
    LanguageModelConfig(vocab_size=9, cell="gru", tied=False),
    ClassifierConfig(vocab_size=9, labels=("a", "b"), label_scores=(0.0, 1.0), pooling="mean"),
    NGramConfig(vocab_size=9, order=3),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.task)
def test_a_configuration_survives_its_dictionary(config) -> None:
    assert config_from_dict(config_to_dict(config)) == config


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"num_layers": -1}, "num_layers"),
        ({"embedding_size": True}, "embedding_size"),
        ({"cell": "transformer"}, "cell must be one of"),
        ({"nonlinearity": "relu"}, "own nonlinearities"),
        ({"cell": "gru", "forget_bias": 0.0}, "no forget gate"),
        ({"forget_bias": math.inf}, "forget_bias"),
        ({"output_dropout": 1.0}, "output_dropout"),
        ({"colour": 3}, "no setting colour"),
        ({"task": "poetry"}, "task must be one of"),
    ],
)
def test_an_impossible_configuration_is_refused_by_name(changes, fault) -> None:
    values = config_to_dict(LanguageModelConfig(vocab_size=9))
    with pytest.raises(ConfigError, match=fault):
        config_from_dict({**values, **changes})


def test_a_missing_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocab_size"):
        config_from_dict({"task": "language_model"})


def test_a_tied_model_ends_in_the_width_of_its_embedding() -> None:
    config = LanguageModelConfig(vocab_size=9, embedding_size=5, hidden_size=7, num_layers=3)
    assert config.layer_sizes == (7, 7, 5)


def test_the_end_of_a_text_has_its_former_name_on_disk() -> None:
    values = config_to_dict(NGramConfig(vocab_size=9, eos_id=2))
    assert values["boundary_id"] == 2
    assert "eos_id" not in values
