"""States of texts that were read before, for callers who come back with more of the same text."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, int, int]
_FACTOR = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class _Entry:
    tokens: bytes
    state: bytes

    @property
    def num_bytes(self) -> int:
        return len(self.tokens) + len(self.state) + 300


class PrefixCache:
    """A state is a few kilobytes and exact, so keeping many is cheap; the longest unused one goes first.

    A caller finds only what the same caller has had read: how fast an answer comes tells nobody about others' texts.
    Entries are found by a rolling hash of all beginnings of a text, and compared token by token.

    Parameters
    ----------
    max_bytes
        Room for states and their tokens; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.is_enabled = max_bytes > 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lengths: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.num_bytes = 0
        self.num_queries = 0
        self.num_hits = 0

    def find(self, caller: str, tokens: NDArray[np.int32]) -> tuple[int, bytes] | None:
        """Find the longest known beginning, the last token aside: how many tokens, and the state after them."""
        self.num_queries += 1
        known = self._lengths.get(caller)
        if not known:
            return None
        hashes = _hashes(tokens)
        for length in sorted((n for n in known if n < len(tokens)), reverse=True):
            key = (caller, length, int(hashes[length - 1]))
            entry = self._entries.get(key)
            if entry and entry.tokens == tokens[:length].tobytes():
                self._entries.move_to_end(key)
                self.num_hits += 1
                return length, entry.state
        return None

    def put(self, caller: str, tokens: NDArray[np.int32], state: bytes) -> None:
        """Keep the state after a text, and let the longest unused ones go."""
        key = (caller, len(tokens), int(_hashes(tokens)[-1]))
        entry = _Entry(tokens.tobytes(), state)
        if key in self._entries or entry.num_bytes > self._max_bytes:
            return
        self._entries[key] = entry
        self._lengths[caller][len(tokens)] += 1
        self.num_bytes += entry.num_bytes
        while self.num_bytes > self._max_bytes:
            self._forget(*self._entries.popitem(last=False))

    def _forget(self, key: Key, entry: _Entry) -> None:
        caller, length, _ = key
        self.num_bytes -= entry.num_bytes
        self._lengths[caller][length] -= 1
        if not self._lengths[caller][length]:
            del self._lengths[caller][length]
        if not self._lengths[caller]:
            del self._lengths[caller]


def _hashes(tokens: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return a hash of each beginning of a text: sums of scrambled (token, place) pairs, modulo 2**64."""
    places = np.arange(1, len(tokens) + 1, dtype=np.uint64) * np.uint64(_FACTOR)
    mixed = (tokens.astype(np.uint64) + np.uint64(1)) * (places ^ (places >> np.uint64(29)))
    return np.cumsum(mixed ^ (mixed >> np.uint64(32)), dtype=np.uint64)
