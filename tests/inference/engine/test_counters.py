"""How values are spread over buckets, and tokens a second of late."""

import pytest

from refrain.inference.engine.counters import Histogram, TokenRate


def test_a_value_falls_into_the_first_bucket_that_is_not_below_it() -> None:
    histogram = Histogram((1, 2, 4))
    for value in (0.5, 1, 1.5, 4):
        histogram.count(value)
    histogram.count(9, times=3)
    assert histogram.counts == [2, 1, 1, 3]
    assert histogram.sum == 0.5 + 1 + 1.5 + 4 + 27


def test_what_is_read_is_a_copy() -> None:
    histogram = Histogram((1,))
    counts, total = histogram.read()
    histogram.count(1)
    assert (counts, total) == ([0, 0], 0.0)


def test_a_rate_looks_back_upon_the_last_seconds_and_no_further() -> None:
    rate = TokenRate()
    for second in range(20):
        rate.count(10 if second < 10 else 20, second + 0.5)
    assert rate.read(20.0) == pytest.approx(20)
    rate.count(1_000, 20.25)
    assert rate.read(20.5) == pytest.approx(1_100 / 5.5)
    assert rate.read(40.0) == 0
