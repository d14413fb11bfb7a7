"""Fitting a neural cache: the figures are what sessions give."""

import math

import numpy as np
import pytest
import torch

from refrain.inference.engine.request import Request
from refrain.models.config import LanguageModelConfig
from refrain.models.native.step.structures import Purpose
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCache, NeuralCacheConfig
from refrain.training.evaluation.neural_cache import (
    cache_probs,
    fit,
    perplexity,
    read_int8_texts,
    shuffled_lines,
)
from tests.support.engines import BOUNDARY, engine_of

V = 60


def network() -> LanguageModel:
    torch.manual_seed(1)
    sizes = {"embedding_size": 8, "hidden_size": 16, "num_layers": 1}
    return LanguageModel(LanguageModelConfig(vocab_size=V, **sizes)).eval()


def document(seed: int, length: int = 120) -> list[int]:
    """Tokens of a text that comes back to a few of its own words."""
    draw = np.random.default_rng(seed)
    own = draw.integers(2, V, 6)
    ids: list[int] = draw.choice(own, length).tolist()
    return ids


def test_a_fitted_perplexity_is_that_of_texts_read_token_by_token() -> None:
    model, ids = network(), document(1)
    config = NeuralCacheConfig(weight=0.3, inverse_temperature=0.5, window=50, switch_rate=0.01)
    texts = read_int8_texts(model, [ids], BOUNDARY)
    expected = perplexity(texts, [cache_probs(texts[0], 0.5, 50)], config)
    engine = engine_of(model)
    cache, targets = NeuralCache(config, engine.shape.hidden_size), [*ids, BOUNDARY]
    scored = engine.answer(Request(Purpose.SCORE, targets, cache=cache.view()))[1]
    blended = cache.append(scored.hidden, targets, scored.logprobs, scored.cache_probs)
    assert math.exp(-math.fsum(blended) / len(blended)) == pytest.approx(expected, rel=1e-4)


def test_a_fit_finds_that_texts_come_back_to_their_words() -> None:
    texts = read_int8_texts(network(), [document(seed) for seed in range(4)], BOUNDARY)
    config = fit(texts, 100)
    cached = [cache_probs(text, config.inverse_temperature, 100) for text in texts]
    plain = NeuralCacheConfig(weight=0, window=100)
    assert config.weight >= 0.3
    assert perplexity(texts, cached, config) < 0.6 * perplexity(texts, cached, plain)


def test_shuffling_keeps_every_line() -> None:
    documents = ["a\nb\n\nc", "d\ne", "f\ng"]
    shuffled = shuffled_lines(documents)
    lines = sorted(line for text in shuffled for line in text.split("\n"))
    assert lines == list("abcdefg")
    assert shuffled != documents
