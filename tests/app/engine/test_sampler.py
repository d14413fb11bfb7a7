"""Sampling against an independent computation, and a row's independence of its neighbours."""

import numpy as np
import pytest
import torch

from app.engine.sampler import sample
from app.engine.sequence import SamplingParams, Sequence
from app.engine.uniform import mix, uniform

LOGITS = torch.tensor([1.0, 0.5, 3.0, 2.0, -1.0, 2.5, 0.0, 1.5])


def draw(params: dict, seeds: range, tokens=(1,)) -> list[int]:
    rows = []
    for seed in seeds:
        sequence = Sequence("generate", list(tokens), SamplingParams(seed=seed, **params))
        rows.append(sequence)
    return sample(LOGITS.expand(len(rows), -1), rows, 1)


def reference(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, banned=()) -> np.ndarray:
    """The distribution by its definition, in double precision, one row."""
    logits = LOGITS.numpy().astype(float).copy()
    logits[list(banned)] = -np.inf
    probabilities = np.exp(logits / temperature)
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    if top_k:
        probabilities[order[top_k:]] = 0
    probabilities /= probabilities.sum()
    probabilities[probabilities < min_p * probabilities.max()] = 0
    probabilities /= probabilities.sum()
    before = np.concatenate(([0], np.cumsum(probabilities[order])[:-1]))
    dropped = order[before >= top_p]
    probabilities[dropped[dropped != order[0]]] = 0
    return probabilities / probabilities.sum()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 3},
        {"top_p": 0.7},
        {"min_p": 0.3},
        {"top_k": 5, "top_p": 0.9, "min_p": 0.05},
        {"banned": frozenset({2, 5})},
    ],
    ids=str,
)
def test_frequencies_follow_the_distribution_of_the_definition(params) -> None:
    tokens = draw(params, range(20_000))
    found = np.bincount(tokens, minlength=8) / 20_000
    expected = reference(**params)
    assert (found[expected == 0] == 0).all()
    assert np.abs(found - expected).max() < 0.015


def test_temperature_zero_takes_the_likeliest_and_the_lowest_id_of_equals() -> None:
    assert set(draw({"temperature": 0.0}, range(5))) == {2}
    equal = torch.zeros(1, 6)
    params = SamplingParams(seed=0, temperature=0)
    assert sample(equal, [Sequence("generate", [1], params)], 1) == [0]


@pytest.mark.parametrize("params", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}], ids=str)
def test_the_narrowest_filters_leave_the_likeliest(params) -> None:
    assert set(draw(params, range(50))) == {2}


def test_a_repetition_penalty_lowers_only_tokens_of_the_text() -> None:
    assert set(draw({"temperature": 0.0, "repetition_penalty": 5.0}, range(2), (1, 2, 5))) == {3}


def test_rows_of_other_parameters_do_not_change_a_row() -> None:
    kinds = [{}, {"top_k": 3}, {"top_p": 0.5}, {"temperature": 0.0}, {"min_p": 0.2}]
    rows = [Sequence("generate", [1, 3], SamplingParams(seed=n, **kinds[n % 5])) for n in range(40)]
    torch.manual_seed(0)
    logits = torch.randn(40, 100) * 3
    together = sample(logits, rows, 1)
    alone = [sample(logits[n : n + 1], [row], 1)[0] for n, row in enumerate(rows)]
    assert together == alone


def test_the_mixer_is_splitmix64() -> None:
    """First outputs of SplitMix64 from seed 1234567, as the reference C code prints them."""
    state, outputs = 1234567, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        outputs.append(mix(state))
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_uniform_numbers_are_uniform_and_uncorrelated_over_seeds_and_positions() -> None:
    numbers = np.array(
        [[uniform(seed, position) for position in range(100)] for seed in range(100)]
    )
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    chi_square = ((counts - 500) ** 2 / 500).sum()
    assert chi_square < 45
    for shifted in (numbers[1:, :-1], numbers[:-1, 1:], numbers[1:, 1:]):
        correlation = np.corrcoef(numbers[:-1, :-1].ravel(), shifted.ravel())[0, 1]
        assert abs(correlation) < 0.04
