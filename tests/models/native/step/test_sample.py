"""Sampling tokens against an independent computation, for every variant of the native library."""

import math

import numpy as np
import pytest

from refrain.models.native.step.library import best_variant, built_variants, load_library
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.workspace import SequenceList, Workspace

LOGITS = np.array([1.0, 0.5, 3.0, 2.0, -1.0, 2.5, 0.0, 1.5], np.float32)
BOUNDARY = 1


def choose(
    params: dict, seeds, *, tokens=(BOUNDARY,), num_written=0, logits=LOGITS, variant=None
) -> list[int]:
    """Sample one token for each of these seeds."""
    rows = len(seeds)
    workspace = Workspace(
        vocab_size=len(logits), eos_id=BOUNDARY, max_rows=rows, num_threads=1, variant=variant
    )
    workspace.logits[:, : len(logits)] = logits
    shape, sequences = ModelShape(len(logits), BOUNDARY), []
    for seed in seeds:
        sampling = SamplingParams(seed=seed, max_tokens=10, **params)
        sequence = NativeSequence(Purpose.GENERATE, list(tokens), shape, sampling=sampling)
        sequence.struct.num_given -= num_written
        sequence.struct.num_read = len(tokens) - 1
        sequences.append(sequence)
    workspace.answer(SequenceList(sequences))
    return [int(sequence.tokens[len(tokens)]) for sequence in sequences]


def reference(
    logits=LOGITS,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    min_p=0.0,
    typical_p=1.0,
    logit_bias=(),
    allowed=None,
) -> np.ndarray:
    """The distribution by its definition, in double precision, one row."""
    scores = logits.astype(float).copy()
    for token, bias in logit_bias:
        scores[token] += bias
    if allowed is not None:
        scores[[t for t in range(len(scores)) if not int(allowed[0]) >> t & 1]] = -np.inf
    probabilities = np.exp((scores - scores.max()) / temperature)
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    if top_k:
        probabilities[probabilities < probabilities[order[top_k - 1]]] = 0
    probabilities /= probabilities.sum()
    probabilities[probabilities < min_p * probabilities.max()] = 0
    probabilities /= probabilities.sum()
    if top_p < 1:
        probabilities = first_of(order, probabilities, top_p)
    if typical_p < 1:
        left = np.flatnonzero(probabilities)
        surprise = -np.log(probabilities[left])
        entropy = (probabilities[left] * surprise).sum()
        nearest = left[np.argsort(np.abs(surprise - entropy), kind="stable")]
        probabilities = first_of(nearest, probabilities, typical_p)
    return probabilities


def first_of(order: np.ndarray, probabilities: np.ndarray, share: float) -> np.ndarray:
    """The first tokens of an order whose predecessors hold less than `share`; one at least."""
    before = np.concatenate(([0], np.cumsum(probabilities[order])[:-1]))
    kept = order[: max(1, int((before < share).sum()))]
    found = np.zeros_like(probabilities)
    found[kept] = probabilities[kept]
    return found / found.sum()


PARAMS = [
    {},
    {"temperature": 0.5},
    {"temperature": 2.0, "top_k": 3},
    {"top_k": 1},
    {"top_p": 0.7},
    {"top_p": 0.01},
    {"min_p": 0.3},
    {"top_k": 5, "top_p": 0.9, "min_p": 0.05, "temperature": 1.7},
    {"typical_p": 0.5},
    {"typical_p": 0.01, "temperature": 2.0},
    {"typical_p": 0.6, "top_k": 6, "top_p": 0.95, "min_p": 0.01, "temperature": 1.3},
    {"logit_bias": ((2, -math.inf), (5, -math.inf))},
    {"logit_bias": ((0, 2.0), (0, 0.5), (1, -1.0))},
    {"logit_bias": ((2, -math.inf),), "top_p": 0.8},
    {"logit_bias": ((2, -math.inf),), "typical_p": 0.6},
    {"allowed": np.array([0b10011001], np.uint64)},
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_frequencies_follow_the_distribution_of_the_definition(params) -> None:
    tokens = choose(params, range(20_000))
    found = np.bincount(tokens, minlength=8) / 20_000
    expected = reference(**params)
    assert (found[expected == 0] == 0).all()
    assert np.abs(found - expected).max() < 0.015


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_large_vocabularies_keep_exactly_what_the_definition_keeps(params) -> None:
    if "allowed" in params:
        params = {"allowed": np.arange(900, dtype=np.uint64) * 0x9E3779B9}
    logits = np.random.default_rng(1).normal(0, 3, 5003).astype(np.float32)
    logits[100:110] = logits[7]
    tokens = set(choose(params, range(3000), logits=logits))
    definition = {**params}
    if (allowed := definition.pop("allowed", None)) is not None:
        definition["logit_bias"] = tuple(
            (t, -math.inf) for t in range(5003) if not int(allowed[t // 64]) >> (t % 64) & 1
        )
    kept = np.flatnonzero(reference(logits, **definition))
    assert tokens <= set(kept.tolist())
    if len(kept) < 30:
        assert tokens == set(kept.tolist())


def drawn(probabilities: np.ndarray, seeds) -> tuple[np.ndarray, np.ndarray]:
    """What each seed draws from a distribution, and whether its number lies clearly inside the token's share."""
    ends = np.cumsum(probabilities)
    numbers = np.array([load_library().step_uniform(seed, 1) for seed in seeds]) * ends[-1]
    tokens = np.searchsorted(ends, numbers, side="right")
    starts = np.concatenate(([0], ends))[tokens]
    return tokens, np.minimum(numbers - starts, ends[tokens] - numbers) > 1e-5


TYPICAL = {
    "alone": {},
    "top_k": {"top_k": 40},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.02},
    "all": {"top_k": 60, "min_p": 0.001, "top_p": 0.95},
    "biases": {"logit_bias": tuple((token, 1.5 - token % 5) for token in range(2, 200, 3))},
}


@pytest.mark.parametrize("kind", TYPICAL)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("vocab_size", [211, 5003])
def test_the_tokens_nearest_to_the_entropy_are_kept(kind, temperature, vocab_size) -> None:
    logits = np.random.default_rng(vocab_size).normal(0, 3, vocab_size).astype(np.float32)
    for typical_p in (0.02, 0.2, 0.6, 0.95, 0.999):
        params = {**TYPICAL[kind], "temperature": temperature, "typical_p": typical_p}
        expected = reference(logits, **params)
        tokens, is_clear = drawn(expected, range(500))
        found = np.array(choose(params, range(500), logits=logits))
        assert is_clear.mean() > 0.8
        assert (found == tokens)[is_clear].all()
        assert (expected[found] > 0).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_of_tokens_as_near_to_the_entropy_the_first_are_kept(temperature) -> None:
    logits = np.random.default_rng(3).normal(0, 2, 300).round().astype(np.float32)
    for typical_p in np.linspace(0.05, 0.95, 10):
        params = {"temperature": temperature, "typical_p": float(typical_p)}
        expected = reference(logits, **params)
        tokens, is_clear = drawn(expected, range(500))
        assert (np.array(choose(params, range(500), logits=logits)) == tokens)[is_clear].all()
    even = choose({"typical_p": 0.5, "temperature": temperature}, range(3000), logits=0 * logits)
    assert set(even) == set(range(150))


def test_the_likeliest_token_is_dropped_where_the_others_are_more_typical() -> None:
    logits = np.full(601, math.log(0.001), np.float32)
    logits[7] = math.log(0.4)
    tokens = choose({"typical_p": 0.5}, range(500), logits=logits)
    assert 7 not in tokens
    assert set(tokens) <= set(range(502))
    assert 7 in choose({"typical_p": 0.7}, range(50), logits=logits)
    assert set(choose({"typical_p": 1e-9}, range(50), logits=logits)) == {0}
    assert set(choose({"typical_p": 0.5, "temperature": 0}, range(5), logits=logits)) == {7}


def test_the_likeliest_of_equals_is_the_first() -> None:
    logits = np.zeros(300, np.float32)
    logits[[70, 200]] = 1
    assert choose({"temperature": 0.0}, range(3), logits=logits) == [70, 70, 70]


@pytest.mark.parametrize("temperature", [1e-3, 1e-5, 1e-37, 1e-39, 1e-44])
@pytest.mark.parametrize(
    "params", [{}, {"top_p": 0.9}, {"top_k": 3, "min_p": 0.1}, {"typical_p": 0.5}], ids=str
)
def test_tiny_temperatures_take_the_likeliest(temperature, params) -> None:
    logits = np.random.default_rng(2).normal(0, 3, 5003).astype(np.float32)
    chosen = choose({"temperature": temperature, **params}, range(20), logits=logits)
    assert set(chosen) == {int(logits.argmax())}


def test_penalties_follow_their_definitions() -> None:
    given, written = [BOUNDARY, 2, 3], [3, 5, 5]
    scores = LOGITS.astype(float).copy()
    for token in (2, 3, 5):
        scores[token] = scores[token] / 1.3 if scores[token] > 0 else scores[token] * 1.3
    scores[3] -= 0.2 + 0.7
    scores[5] -= 2 * 0.2 + 0.7
    penalties = {"repetition_penalty": 1.3, "frequency_penalty": 0.2, "presence_penalty": 0.7}
    tokens = choose(penalties, range(20_000), tokens=[*given, *written], num_written=3)
    expected = np.exp(scores) / np.exp(scores).sum()
    assert np.abs(np.bincount(tokens, minlength=8) / 20_000 - expected).max() < 0.015


def test_ignoring_the_end_never_draws_it() -> None:
    logits = LOGITS.copy()
    logits[BOUNDARY] = 9
    assert BOUNDARY not in choose({"ignore_eos": True}, range(200), logits=logits)
    assert set(choose({}, range(50), logits=logits)) == {BOUNDARY}


def test_every_variant_chooses_the_same() -> None:
    logits = np.random.default_rng(2).normal(0, 3, 5003).astype(np.float32)
    for params in (params for params in PARAMS if "allowed" not in params):
        chosen = {
            variant: choose(params, range(300), logits=logits, variant=variant)
            for variant in runnable_variants()
        }
        assert len({tuple(tokens) for tokens in chosen.values()}) == 1, params


def runnable_variants() -> list[str]:
    """The built variants up to the best one that this processor runs."""
    order = ["portable", "avx2", "avx512vnni"]
    best = next(v for v in reversed(order) if v in built_variants() and runs(v))
    return order[: order.index(best) + 1]


def runs(variant: str) -> bool:
    order = ["portable", "avx2", "avx512vnni"]
    return order.index(variant) <= order.index(best_variant())


def test_uniform_numbers_are_those_of_splitmix64() -> None:
    mask = 2**64 - 1

    def mix(value: int) -> int:
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    golden = 0x9E3779B97F4A7C15
    for seed, position in [(0, 0), (7, 3), (2**63 - 1, 10**9)]:
        key = mix((seed + golden) & mask)
        expected = (mix((key + (position + 1) * golden) & mask) >> 11) / 2**53
        assert load_library().step_uniform(seed, position) == expected


def test_uniform_numbers_are_even_in_seeds_and_in_positions() -> None:
    uniform = load_library().step_uniform
    for numbers in (
        [uniform(seed, 0) for seed in range(20_000)],
        [uniform(3, position) for position in range(20_000)],
    ):
        counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 43.8, "chi-square, 19 degrees, p = 0.001"
