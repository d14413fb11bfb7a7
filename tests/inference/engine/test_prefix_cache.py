"""States of texts that were read before: the longest beginning that is known, within a budget and a caller."""

import numpy as np
import pytest

from refrain.inference.engine.prefix_cache import PrefixCache

OVERHEAD = 300
"""Bytes that an entry is reckoned to take besides its tokens and its state."""


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


def cache_of(num_entries: int, state_size: int = 100, num_tokens: int = 5) -> PrefixCache:
    """A cache with room for so many states."""
    return PrefixCache(num_entries * (4 * num_tokens + state_size + OVERHEAD))


def test_the_longest_known_beginning_is_found() -> None:
    cache = PrefixCache(100_000)
    for length in (2, 4, 3):
        cache.put("me", tokens(5, 6, 7, 8)[:length], b"%d" % length)
    assert cache.find("me", tokens(5, 6, 7, 8, 9)) == (4, b"4")
    assert cache.find("me", tokens(5, 6, 7, 9)) == (3, b"3")
    assert cache.find("me", tokens(5, 6, 9, 8)) == (2, b"2")
    assert cache.find("me", tokens(5, 7, 7, 8)) is None
    assert (cache.num_queries, cache.num_hits) == (4, 3)


def test_a_whole_text_is_never_known_to_its_last_token() -> None:
    cache = PrefixCache(100_000)
    cache.put("me", tokens(5, 6, 7), b"three")
    assert cache.find("me", tokens(5, 6, 7)) is None
    cache.put("me", tokens(5, 6), b"two")
    assert cache.find("me", tokens(5, 6, 7)) == (2, b"two")


def test_the_order_of_tokens_counts() -> None:
    cache = PrefixCache(100_000)
    cache.put("me", tokens(5, 6, 7), b"state")
    assert cache.find("me", tokens(7, 6, 5, 9)) is None
    assert cache.find("me", tokens(6, 5, 7, 9)) is None
    cache.put("me", tokens(7, 6, 5), b"other")
    assert cache.find("me", tokens(7, 6, 5, 9)) == (3, b"other")
    assert cache.find("me", tokens(5, 6, 7, 9)) == (3, b"state")


def test_nobody_finds_what_another_caller_had_read() -> None:
    cache = PrefixCache(100_000)
    cache.put("me", tokens(5, 6), b"mine")
    assert cache.find("you", tokens(5, 6, 7)) is None
    cache.put("you", tokens(5, 6), b"yours")
    assert cache.find("you", tokens(5, 6, 7)) == (2, b"yours")
    assert cache.find("me", tokens(5, 6, 7)) == (2, b"mine")


def test_the_longest_unused_is_forgotten_first() -> None:
    cache = cache_of(2)
    texts = [np.arange(n, n + 5, dtype=np.int32) for n in (0, 10, 20)]
    cache.put("me", texts[0], b"a" * 100)
    cache.put("me", texts[1], b"b" * 100)
    assert cache.find("me", np.append(texts[0], 99).astype(np.int32)) is not None
    cache.put("me", texts[2], b"c" * 100)
    assert cache.find("me", np.append(texts[0], 99).astype(np.int32)) is not None
    assert cache.find("me", np.append(texts[1], 99).astype(np.int32)) is None


@pytest.mark.parametrize("num_entries", [1, 3, 7])
def test_a_cache_stays_within_its_budget_and_knows_what_it_takes(num_entries) -> None:
    cache = cache_of(num_entries)
    budget = num_entries * (20 + 100 + OVERHEAD)
    for n in range(20):
        cache.put(f"caller {n % 3}", tokens(n, 1, 2, 3, 4), b"s" * 100)
        assert cache.num_bytes == min(n + 1, num_entries) * (20 + 100 + OVERHEAD) <= budget
    known = [cache.find(f"caller {n % 3}", tokens(n, 1, 2, 3, 4, 5)) for n in range(20)]
    assert [found is not None for found in known] == [n >= 20 - num_entries for n in range(20)]


def test_what_is_larger_than_the_budget_is_not_kept_and_drives_nothing_out() -> None:
    cache = cache_of(1)
    cache.put("me", tokens(1, 2, 3, 4, 5), b"s" * 100)
    cache.put("me", tokens(6, 7, 8, 9, 10), b"s" * 101)
    assert cache.find("me", tokens(6, 7, 8, 9, 10, 11)) is None
    assert cache.find("me", tokens(1, 2, 3, 4, 5, 6)) == (5, b"s" * 100)


def test_what_is_known_already_is_kept_once() -> None:
    cache = PrefixCache(100_000)
    cache.put("me", tokens(5, 6), b"state")
    once = cache.num_bytes
    cache.put("me", tokens(5, 6), b"state")
    assert cache.num_bytes == once == 8 + 5 + OVERHEAD


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = PrefixCache(0)
    assert not cache.is_enabled
    cache.put("me", tokens(5, 6), b"state")
    assert cache.find("me", tokens(5, 6, 7)) is None
    assert cache.num_bytes == 0
    assert PrefixCache(1).is_enabled
