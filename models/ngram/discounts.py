"""How much modified Kneser-Ney smoothing takes from each count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refrain.models.ngram.counts import Counts

Floats = NDArray[np.float64]

FALLBACK = (0.5, 1.0, 1.5)


def estimate_discounts(counts: Counts) -> Floats:
    r"""Estimate the discounts of counts of 1, 2, and 3 or more (Chen & Goodman 1998, equation 26).

    .. math::
        Y = \frac{n_1}{n_1 + 2 n_2}, \qquad D_j = j - (j + 1) Y \frac{n_{j+1}}{n_j}

    with :math:`n_j` n-grams of count j. Where a corpus is so small or so odd that an :math:`n_j` is
    zero or a discount leaves (0, j], all three are KenLM's fallback 0.5, 1, 1.5. No discount is
    zero, so that every token keeps a probability.

    Parameters
    ----------
    counts
        Adjusted counts of all n-grams of one length; zeros are no n-grams.

    Returns
    -------
    ndarray
        float64 [3].
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not n.all():
        return np.array(FALLBACK)
    sizes = np.arange(1.0, 4.0)
    discounts = sizes - (sizes + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
    return discounts if are_discounts(discounts) else np.array(FALLBACK)


def are_discounts(values: Floats) -> bool:
    """Return whether values [..., 3] take something from each count and never more than it has."""
    return bool(np.all((values > 0) & (values <= (1, 2, 3))))


def discount_of(counts: Counts, discounts: Floats) -> Floats:
    """Return what discounts [3] take from each count; nothing from a count of zero."""
    taken: Floats = np.concatenate(([0.0], discounts))[np.minimum(counts, 3)]
    return taken
