"""The neural cache: the native blend against an independent computation, and a trust that never costs much."""

import math
import random

import numpy as np
import pytest
import torch

from models.config import LanguageModelConfig
from models.errors import ConfigError
from models.int8 import Int8LanguageModel
from models.int8_scoring import scored_texts
from models.language_model import LanguageModel
from models.native.sequence import CacheView, NativeSequence, SequenceList
from models.native.structures import Purpose
from models.native.workspace import Workspace
from models.neural_cache import NeuralCache, NeuralCacheConfig, next_trust, weight_of

V, BOUNDARY = 150, 1


def form(cell: str) -> Int8LanguageModel:
    torch.manual_seed(3)
    config = LanguageModelConfig(
        vocab_size=V, cell=cell, embedding_size=24, hidden_size=40, num_layers=2
    )
    return Int8LanguageModel(LanguageModel(config))


def view(entries: int, size: int, weight: float = 0.3, flatness: float = 0.7) -> CacheView:
    generator = np.random.default_rng(5)
    keys = generator.integers(-127, 128, (entries, size)).astype(np.int8)
    values = generator.integers(0, V // 3, entries).astype(np.int32)
    return CacheView(keys, values, entries, flatness, weight)


def expected_shares(cache: CacheView, hidden: np.ndarray) -> np.ndarray:
    """Equation 3 of Grave et al. 2016, written out in float64."""
    scores = cache.flatness * (cache.keys / 127.0) @ ((hidden.astype(float) - 128) / 127)
    weights = np.exp(scores - scores.max())
    shares = np.zeros(V)
    np.add.at(shares, cache.values, weights / weights.sum())
    return shares


def score(model: Int8LanguageModel, ids: list[int], cache: CacheView) -> NativeSequence:
    ((_, sequence),) = scored_texts(model, [ids], boundary_id=BOUNDARY, cache=cache)
    return sequence


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("entries", [1, 15, 16, 200])
def test_a_score_is_the_blend_of_the_model_and_the_cache(cell, entries) -> None:
    model, ids = form(cell), [5, 9, 33, 5, 140, 2]
    size = model.layout.sizes[-1]
    plain = score(model, ids, view(entries, size, weight=0.0))
    cache = view(entries, size)
    found = score(model, ids, cache)
    assert (found.hidden == plain.hidden).all()
    for place, target in enumerate([*ids, BOUNDARY]):
        share = expected_shares(cache, found.hidden[place])[target]
        blend = 0.7 * math.exp(plain.logprobs[place]) + 0.3 * share
        assert found.cache_probs[place] == pytest.approx(share, rel=1e-4, abs=1e-7)
        assert found.logprobs[place] == pytest.approx(math.log(blend), abs=1e-5)


def test_a_look_sums_to_one_and_reports_the_top_of_the_blend() -> None:
    model = form("lstm")
    cache = view(50, model.layout.sizes[-1])
    slot = np.zeros(model.layout.num_bytes, np.uint8)
    model.layout.clear(slot)
    look = NativeSequence(Purpose.LOOK, [BOUNDARY, 7], vocab_size=V, num_top=5, cache=cache)
    look.struct.slot = slot.ctypes.data
    workspace = Workspace(
        vocab_size=V, boundary_id=BOUNDARY, max_rows=1, num_threads=1, network=model.struct
    )
    workspace.run(SequenceList([look]), 10)
    probabilities = np.exp(look.log_probs.astype(float))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert look.top_ids[0].tolist() == np.argsort(-look.log_probs, kind="stable")[:5].tolist()
    entropy = -(probabilities * look.log_probs).sum()
    assert look.struct.entropy == pytest.approx(entropy, abs=1e-4)


def test_a_cache_of_a_window_keeps_the_last_tokens() -> None:
    config = NeuralCacheConfig(weight=0.5, flatness=1.0, window=4)
    cache = NeuralCache(config, 2)
    for first in range(0, 10, 3):
        values = list(range(first, first + 3))
        hidden = np.array([[128 + value, 128 - value] for value in values], np.uint8)
        cache.append(hidden, values, [-1.0] * 3, np.full(3, 0.2, np.float32))
    now = cache.view()
    assert now.num_entries == 4
    kept = {(int(k[0]), int(v)) for k, v in zip(now.keys, now.values, strict=True)}
    assert kept == {(8, 8), (9, 9), (10, 10), (11, 11)}
    assert (now.keys[:, 0] == -now.keys[:, 1]).all()


def test_a_cache_that_is_always_wrong_is_switched_off_and_costs_less_than_a_bit() -> None:
    config = NeuralCacheConfig(weight=0.25)
    trust, loss = 0.5, 0.0
    for _ in range(10_000):
        weight = weight_of(trust, config)
        loss -= math.log(1 - weight)
        trust = next_trust(trust, 0.01, 0.0, config)
    assert weight == 0
    assert loss < math.log(2)


def test_a_cache_that_becomes_right_is_trusted_again() -> None:
    config, draw = NeuralCacheConfig(weight=0.25), random.Random(1)
    trust = 0.5
    for _ in range(1_000):
        trust = next_trust(trust, 0.01, 0.0, config)
    for _ in range(300):
        trust = next_trust(trust, 0.01, draw.choice([0.0, 0.3]), config)
    assert weight_of(trust, config) > 0.2


@pytest.mark.parametrize("fault", [{"weight": 1.0}, {"window": 0}, {"doubt": 0}, {"flatness": -1}])
def test_an_impossible_cache_is_refused(fault) -> None:
    with pytest.raises(ConfigError, match="neural_cache"):
        NeuralCacheConfig(**fault)
