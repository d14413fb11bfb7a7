"""The continuous neural cache: words that a person has just used become likelier, with no training.

Grave, Joulin & Usunier 2016, "Improving Neural Language Models with a Continuous Cache", equations 3 and 5. Whether it
helps is weighed as the text goes on, in the manner of a mixture of two experts with a fixed share (Herbster & Warmuth
1998): where the cache predicts worse than the model alone, its weight goes to 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import ConfigError
from refrain.models.native.step.cache_view import MAX_ENTRIES, CacheView

TINY = 1e-300
SWITCH_OFF = 0.05
"""Trust at which a cache no longer counts, until its predictions have been right again."""
FORMER_NAMES = {"flatness": "inverse_temperature", "doubt": "switch_rate"}
"""Fields that older checkpoints hold under another name, and what they are called now."""


@dataclass(frozen=True)
class NeuralCacheConfig:
    """How much weight a cache is given.

    Attributes
    ----------
    weight
        Share of the cache in the blend where it is trusted wholly, in [0, 1).
    inverse_temperature
        Factor of the products of hidden states, theta in the paper: with 0 every entry counts alike, with large values
        the nearest states alone.
    window
        Tokens that are remembered.
    switch_rate
        Chance, before each token, that the better of cache and model is drawn anew, in (0, 1): how fast trust returns.
    """

    weight: float = 0.15
    inverse_temperature: float = 0.3
    window: int = 2_000
    switch_rate: float = 0.001

    def __post_init__(self) -> None:
        is_valid = 0 <= self.weight < 1 and 0 <= self.inverse_temperature <= 100
        if not (is_valid and 0 < self.switch_rate < 1 and 1 <= self.window <= MAX_ENTRIES):
            raise ConfigError(
                "neural_cache: weight lies in [0, 1), inverse_temperature in [0, 100], switch_rate in (0, 1), "
                f"window in [1, {MAX_ENTRIES}]: {self}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NeuralCacheConfig:
        """Read what a checkpoint holds, under the names of now or of before."""
        return cls(**{FORMER_NAMES.get(name, name): value for name, value in values.items()})


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
            self._keys,
            self._values,
            first,
            num_entries,
            self.config.inverse_temperature,
            self.weight,
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
        hidden, values
            The state before each token, [N, size] with zero point 128, and the tokens, [N].
        logprobs, cache_probs
            What the model and the cache alone gave them, [N].

        Returns
        -------
        list[float]
            The log-probabilities of the blend, each with the trust of its time.
        """
        kept = slice(-self.config.window, None)
        entries = (self._num_seen + np.arange(len(values))[kept]) % self.config.window
        self._keys[entries] = hidden[kept]
        self._values[entries] = values[kept]
        probs = zip(map(math.exp, logprobs), cache_probs.tolist(), strict=True)
        return [self._blend(model, cache) for model, cache in probs]

    def _blend(self, model_prob: float, cache_prob: float) -> float:
        """Return the log-probability of the next token in the blend; count the token, and update the trust."""
        blend = (1 - self.weight) * model_prob + self.weight * cache_prob
        if self._num_seen:
            self.trust = next_trust(self.trust, model_prob, cache_prob, self.config)
        self._num_seen += 1
        return math.log(max(blend, TINY))


def weight_of(trust: float, config: NeuralCacheConfig) -> float:
    """Return a cache's share of the blend; one that is hardly trusted is switched off."""
    return config.weight * trust if trust > SWITCH_OFF else 0.0


def next_trust(
    trust: float, model_prob: float, cache_prob: float, config: NeuralCacheConfig
) -> float:
    """Weigh the blend against the model alone by the probability that each gave a token, then mix in an even share."""
    blend = (1 - config.weight) * model_prob + config.weight * cache_prob
    total = trust * blend + (1 - trust) * model_prob
    posterior = trust * blend / total if total > 0 else trust
    return (1 - config.switch_rate) * posterior + config.switch_rate / 2
