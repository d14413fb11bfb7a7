"""The n-grams of a model as sorted arrays of keys, and how they are found.

The node of an n-gram is its index among the n-grams of its length; the node of a single token is
its id. An n-gram of length n has the key `node of its first n - 1 tokens * V + its last token`, so
the n-grams that continue a context lie side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.errors import CheckpointError
from refrain.models.ngram.counts import Counts, Ints, NGramCounts


@dataclass(frozen=True)
class NGramTrie:
    """Keys and adjusted counts of all n-grams, from single tokens to the longest.

    Attributes
    ----------
    vocab_size
        Number of tokens V.
    ngrams
        The keys of lengths 2 .. order and the counts of lengths 1 .. order.
    """

    vocab_size: int
    ngrams: NGramCounts

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.ngrams.counts)

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """Number of different n-grams of each length, from 1 to the order."""
        return tuple(int(np.count_nonzero(counts)) for counts in self.ngrams.counts)

    def keys(self, length: int) -> Ints:
        """Return the sorted keys of the n-grams of a length from 2 up, int64 [M]."""
        return self.ngrams.keys[length - 2]

    def counts(self, length: int) -> Counts:
        """Return the adjusted counts of the n-grams of a length, int32 [M]."""
        return self.ngrams.counts[length - 1]

    def contexts(self, length: int) -> Ints:
        """Return for each n-gram of a length from 2 up the node of its first n - 1 tokens [M]."""
        return self.keys(length) // self.vocab_size

    def paths(self, tokens: Ints, max_length: int) -> list[Ints]:
        """Find all n-grams that stand in rows of tokens.

        Parameters
        ----------
        tokens
            Token ids int64 [..., T]; -1 is no token.
        max_length
            Longest n-grams to look for.

        Returns
        -------
        list of ndarray
            For each length n = 1 .. max_length the nodes [..., T - n + 1] of the n-grams that begin
            at each position; -1 where there is none.
        """
        nodes = [tokens]
        for length in range(2, max_length + 1):
            nodes.append(self._find(length, nodes[-1][..., :-1], tokens[..., length - 1 :]))
        return nodes[:max_length]

    def children(self, length: int, node: int) -> tuple[Ints, Counts]:
        """Return the tokens that follow the context `node` of a length, and their counts."""
        keys, first_key = self.keys(length + 1), node * self.vocab_size
        start, end = np.searchsorted(keys, (first_key, first_key + self.vocab_size))
        return keys[start:end] - first_key, self.counts(length + 1)[start:end]

    def _find(self, length: int, contexts: Ints, tokens: Ints) -> Ints:
        keys = self.keys(length)
        if not len(keys):
            return np.full(tokens.shape, -1)
        sought = contexts * self.vocab_size + tokens
        nodes = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        exists = (keys[nodes] == sought) & (contexts >= 0) & (tokens >= 0)
        return np.where(exists, nodes, -1)

    def tensors(self) -> dict[str, Tensor]:
        """Return `counts_n` int32 and, from n = 2 up, `keys_n` int64; they share the trie's memory."""
        counts = {f"counts_{n}": self.counts(n) for n in range(1, self.order + 1)}
        keys = {f"keys_{n}": self.keys(n) for n in range(2, self.order + 1)}
        return {name: torch.from_numpy(array) for name, array in (counts | keys).items()}

    @classmethod
    def from_tensors(cls, vocab_size: int, order: int, tensors: Mapping[str, Tensor]) -> NGramTrie:
        """Take what `tensors` gave, and check that it is a trie.

        Raises
        ------
        CheckpointError
            For a table that is missing, unknown, of another type or shape, or with impossible
            values.
        """
        counts = [_table(tensors, "counts_1", torch.int32)]
        _require(len(counts[0]) == vocab_size, "counts_1", f"must have {vocab_size} elements")
        _require(bool((counts[0] >= 0).all()), "counts_1", "has a count below 0")
        keys: list[Ints] = []
        for length in range(2, order + 1):
            keys.append(_table(tensors, f"keys_{length}", torch.int64))
            counts.append(_table(tensors, f"counts_{length}", torch.int32))
            _check_length(length, keys[-1], counts[-1], len(counts[-2]) * vocab_size)
        trie = cls(vocab_size, NGramCounts(tuple(keys), tuple(counts)))
        unknown = ", ".join(sorted(tensors.keys() - trie.tensors().keys()))
        _require(not unknown, unknown, f"is not one of a {order}-gram model")
        return trie


def _table(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> NDArray[Any]:
    _require(name in tensors, name, "is missing")
    table = tensors[name].cpu()
    _require(table.dtype == dtype, name, f"must be {dtype}, not {table.dtype}")
    _require(table.dim() == 1, name, f"must have one dimension, not {table.dim()}")
    return table.numpy()


def _check_length(length: int, keys: Ints, counts: Counts, num_keys: int) -> None:
    name = f"keys_{length}"
    _require(keys.shape == counts.shape, name, f"has {len(keys)} keys for {len(counts)} counts")
    _require(bool((keys[1:] > keys[:-1]).all()), name, "is not sorted")
    in_range = not len(keys) or bool(keys[0] >= 0 and keys[-1] < num_keys)
    _require(in_range, name, "has a key of a context or a token that does not exist")
    _require(bool((counts > 0).all()), f"counts_{length}", "has a count below 1")


def _require(condition: bool, name: str, fault: str) -> None:
    if not condition:
        raise CheckpointError(f"tensor {name} {fault}; train the model again")
