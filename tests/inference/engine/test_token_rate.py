"""Tokens a second, of late."""

import pytest

from inference.engine.token_rate import TokenRate


def test_a_rate_looks_back_upon_the_last_seconds_and_no_further() -> None:
    rate = TokenRate()
    for second in range(20):
        rate.count(10 if second < 10 else 20, second + 0.5)
    assert rate.read(20.0) == pytest.approx(20)
    rate.count(1_000, 20.25)
    assert rate.read(20.5) == pytest.approx(1_100 / 5.5)
    assert rate.read(40.0) == 0
