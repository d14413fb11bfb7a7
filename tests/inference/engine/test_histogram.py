"""How values are spread over buckets."""

from inference.engine.histogram import Histogram


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
