r"""Backpropagation through time for the Elman network, written out by hand.

Forward, for t = 1 ... T, from h_0 = 0:

.. math::
    a_t &= W_{xh} x_t + W_{hh} h_{t-1} + b_h \\
    h_t &= \tanh a_t \\
    o_t &= W_{hy} h_t + b_y \\
    p_t &= \mathrm{softmax}(o_t) \qquad L = -\sum_t \log p_t[\mathrm{target}_t]

Backward, for t = T ... 1, from W_hh^T delta_{T+1} = 0:

.. math::
    e_t &= \partial L / \partial o_t = p_t - \mathrm{onehot}(\mathrm{target}_t) \\
    \delta_t &= \partial L / \partial a_t
        = (1 - h_t^2) \odot (W_{hy}^T e_t + W_{hh}^T \delta_{t+1}) \\
    \partial L / \partial W_{hh} &= \sum_t \delta_t h_{t-1}^T \qquad
    \partial L / \partial W_{xh} = \sum_t \delta_t x_t^T \qquad
    \partial L / \partial W_{hy} = \sum_t e_t h_t^T

Shapes: T times, I width of the input, H of the hidden layer, V of the output, K distances.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass
class ElmanWeights:
    """The parameters of the network, or their gradients: each [rows of what it gives, columns of what it takes]."""

    W_xh: np.ndarray
    W_hh: np.ndarray
    b_h: np.ndarray
    W_hy: np.ndarray
    b_y: np.ndarray

    @classmethod
    def draw(
        cls, random: np.random.Generator, *, num_inputs: int, num_hidden: int, num_outputs: int
    ) -> ElmanWeights:
        """Draw all parameters from U(-1/sqrt(H), 1/sqrt(H)), as `torch.nn` does."""
        bound = num_hidden**-0.5
        shapes = (
            *((num_hidden, num_inputs), (num_hidden, num_hidden), (num_hidden,)),
            *((num_outputs, num_hidden), (num_outputs,)),
        )
        return cls(*(random.uniform(-bound, bound, shape) for shape in shapes))

    def zeros(self) -> ElmanWeights:
        """Make gradients that are yet nothing."""
        return ElmanWeights(*(np.zeros_like(array) for array in self.arrays()))

    def arrays(self) -> list[np.ndarray]:
        """List the parameters."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Forward:
    """What the way back needs of the way forward: h_0 ... h_T, and e_t = p_t - onehot(target_t)."""

    hidden_TH: np.ndarray
    error_TV: np.ndarray
    loss: float


def forward(weights: ElmanWeights, inputs_TI: np.ndarray, targets_T: np.ndarray) -> Forward:
    """Read a sequence; the loss is the sum over its times, in nats."""
    hidden_TH = np.zeros((len(inputs_TI) + 1, len(weights.b_h)))
    for t, input_I in enumerate(inputs_TI, start=1):
        a_H = weights.W_xh @ input_I + weights.W_hh @ hidden_TH[t - 1] + weights.b_h
        hidden_TH[t] = np.tanh(a_H)
    logits_TV = hidden_TH[1:] @ weights.W_hy.T + weights.b_y
    logits_TV -= logits_TV.max(1, keepdims=True)
    probs_TV = np.exp(logits_TV) / np.exp(logits_TV).sum(1, keepdims=True)
    times_T = np.arange(len(targets_T))
    loss = -np.log(probs_TV[times_T, targets_T]).sum()
    probs_TV[times_T, targets_T] -= 1
    return Forward(hidden_TH, probs_TV, float(loss))


def backward(
    weights: ElmanWeights, inputs_TI: np.ndarray, read: Forward, window: int | None = None
) -> ElmanWeights:
    """Return the gradient of the loss, full or truncated.

    Parameters
    ----------
    window
        Cut the sequence to windows of so many steps: the state is carried over, the gradient is not. That is how
        language models are trained. None lets it flow to the beginning.
    """
    gradient = weights.zeros()
    from_later_H = np.zeros_like(weights.b_h)
    for t in range(len(inputs_TI), 0, -1):
        h_H, h_before_H = read.hidden_TH[t], read.hidden_TH[t - 1]
        e_V = read.error_TV[t - 1]
        delta_H = (1 - h_H**2) * (weights.W_hy.T @ e_V + from_later_H)
        gradient.W_hy += np.outer(e_V, h_H)
        gradient.b_y += e_V
        gradient.W_hh += np.outer(delta_H, h_before_H)
        gradient.W_xh += np.outer(delta_H, inputs_TI[t - 1])
        gradient.b_h += delta_H
        begins_window = window is not None and (t - 1) % window == 0
        from_later_H = np.zeros_like(delta_H) if begins_window else weights.W_hh.T @ delta_H
    return gradient


def parts_by_distance(weights: ElmanWeights, read: Forward, num_distances: int) -> np.ndarray:
    r"""Split dL/dW_hh by how far each loss has come back: parts [K, H, H], which add up to the whole if K = T.

    The error of the loss at time t, at time t - k, is
    :math:`\delta_{t,k} = (1 - h_{t-k}^2) \odot W_{hh}^T \delta_{t,k-1}`; part k is
    :math:`\sum_t \delta_{t,k} h_{t-k-1}^T`. The first K parts together are the gradient of which every loss reaches
    back over K steps.
    """
    hidden_TH, before_TH = read.hidden_TH[1:], read.hidden_TH[:-1]
    slope_TH = 1 - hidden_TH**2
    delta_TH = slope_TH * (read.error_TV @ weights.W_hy)
    parts = []
    for _ in range(num_distances):
        parts.append(delta_TH.T @ before_TH[: len(delta_TH)])
        delta_TH = slope_TH[: max(0, len(delta_TH) - 1)] * (delta_TH[1:] @ weights.W_hh)
    return np.stack(parts)
