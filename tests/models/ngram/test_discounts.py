"""Discounts from counts of counts."""

import numpy as np
import pytest

from refrain.models.ngram.discounts import discount_of, estimate_discounts


def counts_with(*counts_of_counts):
    sizes = np.arange(1, len(counts_of_counts) + 1)
    return np.repeat(sizes, counts_of_counts).astype(np.int32)


def test_discounts_follow_the_formula_of_chen_and_goodman():
    counts = counts_with(100, 40, 20, 10, 30)
    y = 100 / 180
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20)
    np.testing.assert_allclose(estimate_discounts(counts), expected)


def test_zeros_and_counts_above_four_do_not_matter():
    counts = counts_with(100, 40, 20, 10)
    more = np.concatenate((counts, np.zeros(50, np.int32), np.full(9, 77, np.int32)))
    np.testing.assert_array_equal(estimate_discounts(more), estimate_discounts(counts))


@pytest.mark.parametrize(
    "counts_of_counts",
    [(), (5,), (0, 5, 5, 5), (5, 0, 5, 5), (5, 5, 5, 0), (90, 10, 80, 10), (9, 9, 1, 90)],
)
def test_odd_counts_of_counts_fall_back(counts_of_counts):
    assert estimate_discounts(counts_with(*counts_of_counts)).tolist() == [0.5, 1.0, 1.5]


def test_a_count_of_zero_loses_nothing():
    taken = discount_of(np.array([0, 1, 2, 3, 9], np.int32), np.array([0.6, 1.1, 1.4]))
    assert taken.tolist() == [0, 0.6, 1.1, 1.4, 1.4]
