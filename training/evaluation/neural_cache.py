"""Fit the neural cache of a checkpoint on validation texts: how much it is heeded, and how fast a change of mind is.

Shapes: T tokens of a text, Q of them at a time, K entries, H units of the last layer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refrain.models.int8 import ZERO_POINT
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCacheConfig, next_trust, weight_of
from refrain.training.evaluation.scored_documents import score_documents
from refrain.training.reporting.progress_bar import progress_bar

INVERSE_TEMPERATURES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
WEIGHTS = (0.0, 0.02, 0.05, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.35)
SWITCH_RATES = (0.0001, 0.001, 0.01)
QUERIES = 256


@dataclass(frozen=True)
class ReadText:
    """What a model found out about one text.

    Attributes
    ----------
    targets_T
        Its tokens and the boundary that ends it.
    probs_T
        What the model alone gave them, float64.
    hidden_TH
        The last layer's state before each, from -1 to 1.
    """

    targets_T: Tensor
    probs_T: NDArray[np.float64]
    hidden_TH: Tensor


def read_int8_texts(
    model: LanguageModel, documents: Sequence[Sequence[int]], eos_id: int
) -> list[ReadText]:
    """Score documents in the model's integer form, each from its beginning, and keep the hidden states."""
    texts = []
    scored = score_documents(model, documents, eos_id, wants_hidden=True)
    for ids, found in zip(documents, scored, strict=True):
        assert found.hidden is not None
        texts.append(
            ReadText(
                torch.tensor([*ids, eos_id]),
                np.exp(np.asarray(found.logprobs, np.float64)),
                (torch.from_numpy(found.hidden).float() - ZERO_POINT) / 127,
            )
        )
    return texts


def cache_probs(text: ReadText, inverse_temperature: float, window: int) -> NDArray[np.float64]:
    """Return what the cache alone gives each token of a text, [T] (Grave et al. 2016, equation 3)."""
    found = torch.zeros(len(text.targets_T), dtype=torch.float64)
    for first in range(0, len(found), QUERIES):
        oldest = max(0, first - window)
        queries_QH = text.hidden_TH[first : first + QUERIES]
        keys_KH = text.hidden_TH[oldest : first + QUERIES]
        targets_Q = text.targets_T[first : first + QUERIES]
        values_K = text.targets_T[oldest : first + QUERIES]
        age_QK = (
            torch.arange(len(targets_Q))[:, None] + first - oldest - torch.arange(len(values_K))
        )
        is_known_QK = (age_QK > 0) & (age_QK <= window)
        scores_QK = (inverse_temperature * queries_QH @ keys_KH.T).masked_fill(
            ~is_known_QK, -math.inf
        )
        shares_QK = scores_QK.softmax(1).nan_to_num(0.0)
        is_target_QK = values_K == targets_Q[:, None]
        found[first : first + QUERIES] = (shares_QK * is_target_QK).sum(1)
    return found.numpy()


def perplexity(
    texts: Sequence[ReadText],
    cached: Sequence[NDArray[np.float64]],
    config: NeuralCacheConfig,
) -> float:
    """Return the perplexity of texts, each with a cache of its own that is trusted as far as it deserves."""
    total, num_tokens = 0.0, 0
    for text, probs_T in zip(texts, cached, strict=True):
        trust = 0.5
        for index, (model, cache) in enumerate(
            zip(text.probs_T.tolist(), probs_T.tolist(), strict=True)
        ):
            weight = weight_of(trust, config) if index else 0.0
            total -= math.log((1 - weight) * model + weight * cache)
            if index:
                trust = next_trust(trust, model, cache, config)
        num_tokens += len(probs_T)
    return math.exp(total / num_tokens)


def fit(texts: Sequence[ReadText], window: int) -> NeuralCacheConfig:
    """Find the weight, inverse temperature and switch rate of the lowest perplexity."""
    best = (math.inf, NeuralCacheConfig(window=window))
    for inverse_temperature in progress_bar("fitting", of=INVERSE_TEMPERATURES):
        cached = [cache_probs(text, inverse_temperature, window) for text in texts]
        alone, cache = (np.concatenate(parts) for parts in ([t.probs_T for t in texts], cached))
        losses = {w: -np.log((1 - w) * alone + w * cache).mean() for w in WEIGHTS}
        weight = min(losses, key=losses.__getitem__)
        if losses[weight] < best[0]:
            config = NeuralCacheConfig(
                weight=weight, inverse_temperature=inverse_temperature, window=window
            )
            best = (float(losses[weight]), config)
    cached = [cache_probs(text, best[1].inverse_temperature, window) for text in texts]
    tried = [replace(best[1], switch_rate=switch_rate) for switch_rate in SWITCH_RATES]
    return min(tried, key=lambda config: perplexity(texts, cached, config))


def shuffled_lines(documents: Sequence[str], seed: int = 0) -> list[str]:
    """Deal the lines of all documents out anew: texts that are about nothing, to see that a cache does no harm."""
    lines = [line for document in documents for line in document.split("\n") if line.strip()]
    random.Random(seed).shuffle(lines)  # noqa: S311 - no secret
    share = max(1, len(lines) // len(documents))
    return ["\n".join(lines[first : first + share]) for first in range(0, len(lines), share)]
