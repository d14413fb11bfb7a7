"""Probabilities from adjusted counts: each history interpolated with the next shorter one.

Shapes: T times, V vocabulary, M any number of n-grams.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refrain.models.ngram.counts import Counts, Ints
from refrain.models.ngram.discounts import Floats, discount_of
from refrain.models.ngram.trie import NGramTrie


class NGramSmoothing:
    r"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998, section 3, equation 25).

    .. math::
        p(w \mid h) = \frac{c(hw) - D(c(hw))}{\sum_v c(hv)} + \gamma(h) \, p(w \mid h'), \qquad
        \gamma(h) = \frac{\sum_v D(c(hv))}{\sum_v c(hv)}

    where h' is the history without its oldest token, c the adjusted counts of `count_ngrams`, and D
    one of three discounts a length. A history never seen hands everything down: its
    :math:`\gamma` is 1. The empty one is interpolated with the uniform distribution over all V
    tokens, seen or not, `<unk>` included: every token has a probability, and they sum to one.

    Parameters
    ----------
    trie
        The adjusted counts.
    discounts
        float64 [order, 3].
    """

    def __init__(self, trie: NGramTrie, discounts: Floats) -> None:
        self.trie = trie
        self.discounts = discounts
        weights = [self._weigh(length) for length in range(1, trie.order)]
        self._totals = [totals for totals, _ in weights]
        self._backoffs = [backoffs for _, backoffs in weights]
        self._unigrams_V = self._interpolate_with_uniform()

    def distribution(self, contexts: Sequence[int]) -> Floats:
        """Return the probability of every token, float64 [V].

        Parameters
        ----------
        contexts
            Nodes of the last token, of the last two, and so on; -1 for one never seen.
        """
        seen = [(length, node) for length, node in enumerate(contexts, 1) if node >= 0]
        backoffs = [float(self._backoffs[length - 1][node]) for length, node in seen]
        probs_V: Floats = self._unigrams_V * math.prod(backoffs)
        for index, (length, node) in enumerate(seen):
            tokens, counts = self.trie.children(length, node)
            kept = counts - discount_of(counts, self.discounts[length])
            weight = math.prod(backoffs[index + 1 :])
            probs_V[tokens] += weight * kept / self._totals[length - 1][node]
        return probs_V

    def probabilities(self, tokens: Ints) -> Floats:
        """Return the probability of each token [T] but the first, float64 [T - 1]."""
        probs = self._unigrams_V[tokens[1:]]
        paths = self.trie.paths(tokens, self.trie.order)
        for length in range(1, self.trie.order):
            contexts, ngrams = paths[length - 1][:-1], paths[length]
            self._interpolate(length, contexts, ngrams, probs[length - 1 :])
        return probs

    def _interpolate(self, length: int, contexts: Ints, ngrams: Ints, probs_M: Floats) -> None:
        """Raise the probabilities of tokens after shorter contexts, in place, to this length."""
        seen = np.flatnonzero(contexts >= 0)
        probs_M[seen] *= self._backoffs[length - 1][contexts[seen]]
        seen = np.flatnonzero(ngrams >= 0)
        counts = self.trie.counts(length + 1)[ngrams[seen]]
        kept = counts - discount_of(counts, self.discounts[length])
        probs_M[seen] += kept / self._totals[length - 1][contexts[seen]]

    def _weigh(self, length: int) -> tuple[Counts, NDArray[np.float32]]:
        """Return for each context of a length the sum of the counts after it, and its gamma."""
        contexts, counts = self.trie.contexts(length + 1), self.trie.counts(length + 1)
        num_contexts = len(self.trie.counts(length))
        totals = np.bincount(contexts, counts, num_contexts)
        taken = np.bincount(contexts, discount_of(counts, self.discounts[length]), num_contexts)
        backoffs = np.divide(taken, totals, out=np.ones(num_contexts), where=totals > 0)
        return totals.astype(np.int32), backoffs.astype(np.float32)

    def _interpolate_with_uniform(self) -> Floats:
        counts_V, vocab_size = self.trie.counts(1), self.trie.vocab_size
        total = int(counts_V.sum())
        if not total:
            return np.full(vocab_size, 1 / vocab_size)
        taken_V = discount_of(counts_V, self.discounts[0])
        probs_V: Floats = (counts_V - taken_V + taken_V.sum() / vocab_size) / total
        return probs_V
