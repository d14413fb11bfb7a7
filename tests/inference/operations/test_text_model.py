"""What an operation knows of its model."""

from dataclasses import replace

import pytest

from refrain.models.errors import InvalidParameterError
from refrain.models.neural_cache import NeuralCacheConfig
from tests.support.by_hand import text_model


def test_a_model_is_known_by_its_checkpoints_name_and_tokenizer() -> None:
    model = text_model()
    assert model.name == "by-hand"
    assert model.tokenizer is model.checkpoint.tokenizer
    assert len(repr(model.words)) > 100
    assert repr(model.words) not in repr(model)


def test_units_are_counted_without_what_pads_a_state() -> None:
    model = text_model(hidden_size=16, num_units=5)
    assert (model.num_units, model.shape.hidden_size) == (5, 16)


def test_a_cache_heeds_what_was_fitted_to_the_checkpoint_and_else_what_is_usual() -> None:
    model = text_model(hidden_size=16)
    assert model.new_cache().config == NeuralCacheConfig()
    fitted = NeuralCacheConfig(weight=0.3, window=50)
    checkpoint = replace(model.checkpoint, neural_cache=fitted)
    cache = replace(model, checkpoint=checkpoint).new_cache()
    assert cache.config == fitted
    assert cache.size == 16
    assert cache.view().num_entries == 0


def test_a_model_without_hidden_states_cannot_adapt_and_says_so() -> None:
    model = text_model(hidden_size=0)
    with pytest.raises(InvalidParameterError, match="runs in fp32: only models in int8") as refused:
        model.new_cache()
    assert refused.value.param == "adaptive"
