"""The neural cache: the native blend against an independent computation, and a trust that never costs much."""

import itertools
import math
import random
from dataclasses import asdict

import numpy as np
import pytest
import torch

from refrain.models.config import LanguageModelConfig
from refrain.models.errors import ConfigError
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.native.step.workspace import SequenceList, Workspace
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCache, NeuralCacheConfig, next_trust, weight_of

V, BOUNDARY = 150, 1
SHAPE = ModelShape(V, BOUNDARY)


def form(cell: str) -> Int8LanguageModel:
    torch.manual_seed(3)
    config = LanguageModelConfig(
        vocab_size=V, cell=cell, embedding_size=24, hidden_size=40, num_layers=2
    )
    return Int8LanguageModel(LanguageModel(config))


def view(entries: int, size: int, weight: float = 0.3, window: int = 500) -> CacheView:
    """A cache whose oldest entry stands somewhere in the ring."""
    generator = np.random.default_rng(5)
    keys = generator.integers(1, 256, (window, size)).astype(np.uint8)
    values = generator.integers(0, V // 3, window).astype(np.int32)
    return CacheView(keys, values, 490 if entries == window else 0, entries, 0.7, weight)


def entries_of(cache: CacheView) -> list[tuple[np.ndarray, int]]:
    """Keys and values from the oldest to the newest."""
    places = [(cache.first + n) % len(cache.keys) for n in range(cache.num_entries)]
    return [(cache.keys[place], int(cache.values[place])) for place in places]


def expected_shares(entries, hidden: np.ndarray, inverse_temperature: float = 0.7) -> np.ndarray:
    """Equation 3 of Grave et al. 2016, written out in float64."""
    keys = (np.array([key for key, _ in entries], float) - 128) / 127
    scores = inverse_temperature * keys @ ((hidden.astype(float) - 128) / 127)
    weights = np.exp(scores - scores.max())
    shares = np.zeros(V)
    np.add.at(shares, [value for _, value in entries], weights / weights.sum())
    return shares


def score(model: Int8LanguageModel, ids: list[int], cache: CacheView | None) -> NativeSequence:
    """Score a text and its end from the beginning."""
    return run(model, NativeSequence(Purpose.SCORE, [BOUNDARY, *ids, BOUNDARY], SHAPE, cache=cache))


def run(model: Int8LanguageModel, sequence: NativeSequence) -> NativeSequence:
    slot = np.zeros(model.layout.num_bytes, np.uint8)
    model.layout.clear(slot)
    sequence.struct.slot = slot.ctypes.data
    workspace = Workspace(
        vocab_size=V, eos_id=BOUNDARY, max_rows=1, num_threads=1, network=model.struct
    )
    workspace.run(SequenceList([sequence]), 1000)
    return sequence


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("entries", [0, 1, 15, 16, 200, 497, 500])
def test_a_score_reports_what_the_cache_and_its_own_tokens_give(cell, entries) -> None:
    model, ids = form(cell), [5, 9, 33, 5, 140, 2, 5, 9]
    cache = view(entries, model.layout.sizes[-1])
    found = score(model, ids, cache)
    assert found.logprobs.tolist() == score(model, ids, None).logprobs.tolist()
    past = entries_of(cache)
    for place, target in enumerate([*ids, BOUNDARY]):
        expected = expected_shares(past[-500:], found.hidden[place])[target] if past else 0
        assert found.cache_probs[place] == pytest.approx(expected, rel=1e-4, abs=1e-7)
        past.append((found.hidden[place], target))


@pytest.mark.parametrize("sizes", [[1] * 40, [7, 1, 30, 2], [13, 27]])
def test_a_text_remembered_in_pieces_is_the_text_of_one_piece_to_the_byte(sizes) -> None:
    model = form("lstm")
    draw = np.random.default_rng(2)
    ids = draw.integers(2, 12, 40).tolist()
    config = NeuralCacheConfig(weight=0.3, inverse_temperature=0.7, window=25)

    def remember(pieces: list[list[int]]) -> tuple[NeuralCache, list[float]]:
        cache, blended, before = NeuralCache(config, model.layout.sizes[-1]), [], [BOUNDARY]
        slot = np.zeros(model.layout.num_bytes, np.uint8)
        model.layout.clear(slot)
        workspace = Workspace(
            vocab_size=V, eos_id=BOUNDARY, max_rows=8, num_threads=2, network=model.struct
        )
        parity = 0
        for piece in pieces:
            tokens = [before[-1], *piece]
            sequence = NativeSequence(Purpose.SCORE, tokens, SHAPE, cache=cache.view())
            sequence.struct.slot, sequence.struct.parity = slot.ctypes.data, parity
            workspace.run(SequenceList([sequence]), 1000)
            parity = sequence.struct.parity
            logprobs = sequence.logprobs.tolist()
            blended += cache.append(sequence.hidden, piece, logprobs, sequence.cache_probs)
            before += piece
        return cache, blended

    starts = np.cumsum([0, *sizes])
    pieces = [ids[a:b] for a, b in itertools.pairwise(starts)]
    (whole, blended), (cut, blended_in_pieces) = remember([ids]), remember(pieces)
    assert blended == blended_in_pieces
    assert whole.trust == cut.trust
    assert (whole.view().keys == cut.view().keys).all()
    assert (whole.view().values == cut.view().values).all()
    assert whole.trust != 0.5


def test_a_prediction_sums_to_one_and_reports_the_top_of_the_blend() -> None:
    model = form("lstm")
    cache = view(50, model.layout.sizes[-1])
    tokens, want = [BOUNDARY, 7], Want(top=5)
    found = run(model, NativeSequence(Purpose.PREDICT, tokens, SHAPE, want=want, cache=cache))
    plain = run(model, NativeSequence(Purpose.PREDICT, tokens, SHAPE))
    hidden = score(model, [7, 3], cache).hidden[1]
    expected = 0.7 * np.exp(plain.log_probs.astype(float))
    expected += 0.3 * expected_shares(entries_of(cache), hidden)
    probabilities = np.exp(found.log_probs.astype(float))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities == pytest.approx(expected, rel=1e-4, abs=1e-8)
    assert found.top_ids[0].tolist() == np.argsort(-found.log_probs, kind="stable")[:5].tolist()
    entropy = -(probabilities * found.log_probs).sum()
    assert found.struct.entropy == pytest.approx(entropy, abs=1e-4)


def test_a_cache_of_a_window_keeps_the_last_tokens() -> None:
    config = NeuralCacheConfig(weight=0.5, inverse_temperature=1.0, window=4)
    cache = NeuralCache(config, 2)
    for first in range(0, 10, 3):
        values = list(range(first, first + 3))
        hidden = np.array([[128 + value, 128 - value] for value in values], np.uint8)
        cache.append(hidden, values, [-1.0] * 3, np.full(3, 0.2, np.float32))
    kept = [(int(key[0]), int(key[1]), value) for key, value in entries_of(cache.view())]
    assert kept == [(128 + n, 128 - n, n) for n in (8, 9, 10, 11)]


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


@pytest.mark.parametrize(
    "fault", [{"weight": 1.0}, {"window": 0}, {"switch_rate": 0}, {"inverse_temperature": -1}]
)
def test_an_impossible_cache_is_refused(fault) -> None:
    with pytest.raises(ConfigError, match="neural_cache"):
        NeuralCacheConfig(**fault)


def test_a_configuration_is_read_under_the_names_of_now_and_of_before() -> None:
    expected = NeuralCacheConfig(inverse_temperature=0.2, switch_rate=0.01)
    assert NeuralCacheConfig.from_dict({"flatness": 0.2, "doubt": 0.01}) == expected
    assert NeuralCacheConfig.from_dict(asdict(expected)) == expected


def test_a_setting_that_no_cache_has_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        NeuralCacheConfig.from_dict({"colour": 3})
