"""The continuous neural cache: words that a person has just used become likelier, with no training.

Grave, Joulin & Usunier 2016, "Improving Neural Language Models with a Continuous Cache", equations 3 and 5. Whether it
helps is weighed as the text goes on, in the manner of a mixture of two experts with a fixed share (Herbster & Warmuth
1998): where the cache predicts worse than the model alone, its weight goes to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import ConfigError
from refrain.models.native.step.sequence import MAX_ENTRIES, CacheView

TINY = 1e-300
SWITCH_OFF = 0.05
"""Trust at which a cache has no say, until what it would have said was right again."""


@dataclass(frozen=True)
class NeuralCacheConfig:
    """How much a cache is heeded.

    Attributes
    ----------
    weight
        Share of the cache in the blend where it is trusted wholly, in [0, 1).
    flatness
        Factor of the products of hidden states: 0 counts words, large values heed the nearest states alone.
    window
        Tokens that are remembered.
    doubt
        Share of trust that every token takes back to a half, in (0, 1): how fast a change of mind is.
    """

    weight: float = 0.15
    flatness: float = 0.3
    window: int = 2_000
    doubt: float = 0.001

    def __post_init__(self) -> None:
        is_sane = 0 <= self.weight < 1 and 0 <= self.flatness <= 100 and 0 < self.doubt < 1
        if not is_sane or not 1 <= self.window <= MAX_ENTRIES:
            raise ConfigError(
                f"neural_cache: weight and doubt lie in [0, 1), flatness in [0, 100], window in "
                f"[1, {MAX_ENTRIES}]: {self}"
            )


class NeuralCache:
    """What one text has had: hidden states, the token that followed each, and how far they are trusted.

    Parameters
    ----------
    size
        Elements of a hidden state of the last layer, padded as in a slot.
    """

    def __init__(self, config: NeuralCacheConfig, size: int) -> None:
        self.config = config
        self.size = size
        self._keys = np.zeros((config.window, size), np.uint8)
        self._values = np.zeros(config.window, np.int32)
        self._num_seen = 0
        self.trust = 0.5

    @staticmethod
    def num_bytes(config: NeuralCacheConfig, size: int) -> int:
        """Return how much memory a cache takes at most."""
        return config.window * (size + 4)

    def copy(self) -> NeuralCache:
        """Return a copy that goes on from here by itself."""
        other = NeuralCache(self.config, self.size)
        other._keys[:], other._values[:] = self._keys, self._values
        other._num_seen, other.trust = self._num_seen, self.trust
        return other

    def view(self) -> CacheView:
        """Return what a native sequence reads: the entries and the weight of now."""
        window = self.config.window
        first = self._num_seen % window if self._num_seen > window else 0
        num_entries = min(self._num_seen, window)
        return CacheView(
            self._keys, self._values, first, num_entries, self.config.flatness, self.weight
        )

    @property
    def weight(self) -> float:
        """The cache's share of the blend as far as it is trusted; 0 as long as there is nothing in it."""
        return weight_of(self.trust, self.config) if self._num_seen else 0.0

    def append(
        self,
        hidden: NDArray[np.uint8],
        values: Sequence[int],
        logprobs: Sequence[float],
        cache_probs: NDArray[np.float32],
    ) -> list[float]:
        """Remember tokens that were scored after all before them, and learn from how well the cache did.

        However a text is cut to calls, the cache is the same in the end.

        Parameters
        ----------
        hidden
            The state before each token, [N, size] with zero point 128.
        values
            The tokens, [N].
        logprobs, cache_probs
            What the model and the cache alone gave them, [N].

        Returns
        -------
        list[float]
            The log-probabilities of the blend, each with the trust of its time.
        """
        blended = []
        for model, cache in zip(map(math.exp, logprobs), cache_probs.tolist(), strict=True):
            weight = self.weight
            blended.append(math.log(max((1 - weight) * model + weight * cache, TINY)))
            if self._num_seen:
                self.trust = next_trust(self.trust, model, cache, self.config)
            self._num_seen += 1
        kept = slice(-self.config.window, None)
        first = self._num_seen - len(values)
        places = (first + np.arange(len(values))[kept]) % self.config.window
        self._keys[places] = hidden[kept]
        self._values[places] = values[kept]
        return blended


def weight_of(trust: float, config: NeuralCacheConfig) -> float:
    """Return a cache's share of the blend; one that is hardly trusted is switched off."""
    return config.weight * trust if trust > SWITCH_OFF else 0.0


def next_trust(
    trust: float, model_prob: float, cache_prob: float, config: NeuralCacheConfig
) -> float:
    """Weigh the blend against the model alone by what both gave a token; then let some doubt return."""
    blend = (1 - config.weight) * model_prob + config.weight * cache_prob
    total = trust * blend + (1 - trust) * model_prob
    posterior = trust * blend / total if total > 0 else trust
    return (1 - config.doubt) * posterior + config.doubt / 2
