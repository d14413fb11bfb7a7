"""Dynamic evaluation (Krause et al. 2018): a model that learns from the text that it is measured on.

Shapes: T tokens of a text, F features.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.batches.window import TokenStream
from refrain.training.evaluation.evaluate import CPU
from refrain.training.optimize.cross_entropy.chunked import chunked_cross_entropy
from refrain.training.optimize.objectives.window_loss import window_loss
from refrain.training.optimize.precision import autocast, choose_precision
from refrain.training.reporting.progress_bar import progress_bar


@dataclass(frozen=True)
class DynamicConfig:
    """How fast a model learns as it reads, and how fast it forgets that again (Krause et al. 2018).

    Attributes
    ----------
    learning_rate, forgetting
        Their eta and lambda.
    segment
        Tokens that are predicted before the weights learn from them.
    """

    learning_rate: float
    forgetting: float
    segment: int = 20


FIRST_TRIED = DynamicConfig(2e-4, 0.005)
MOMENT_WINDOWS = 120
EPSILON = 1e-3
LEAST_GAIN = 1e-4
"""Nats for which a setting is tried further."""


class DynamicEvaluation:
    """Dynamic evaluation with gradients scaled by their root mean square on the training texts.

    After each segment, with g its gradient and w0 the trained weights:
    w += min(forgetting * r, 1) * (w0 - w), and w -= learning_rate * g / (rms + epsilon), where r is rms over its mean.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: Sequence[Sequence[int]] | TokenStream,
        eos_id: int,
    ) -> None:
        self._model = model
        self._eos_id = eos_id
        self._precision = choose_precision(CPU)
        self._parameters: list[Tensor] = list(model.parameters())
        self._trained = [parameter.detach().clone() for parameter in self._parameters]
        all_rms = self._gradient_rms(train)
        mean = sum(float(rms.sum()) for rms in all_rms) / sum(rms.numel() for rms in all_rms)
        self._relative = [rms / mean for rms in all_rms]
        self._scales = [rms + EPSILON for rms in all_rms]

    def _gradient_rms(self, train: Sequence[Sequence[int]] | TokenStream) -> list[Tensor]:
        """Return the root mean square of each weight's gradient over windows of the training texts."""
        windows = StreamWindows(train, eos_id=self._eos_id, batch_size=32, window=20, seed=0)
        sums = [torch.zeros_like(parameter) for parameter in self._parameters]
        number, state = min(MOMENT_WINDOWS, windows.num_windows), None
        epoch = windows.epoch(0)
        for window in progress_bar("gradients", number, of=itertools.islice(epoch, number)):
            with autocast(CPU, self._precision):
                total, num_targets, state = window_loss(self._model, window, state, CPU)
            state = state.detach()
            for known, gradient in zip(sums, self._gradients(total / num_targets), strict=True):
                known.addcmul_(gradient, gradient)
        return [(known / number).sqrt_() for known in sums]

    def _gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, self._parameters)

    def cross_entropy(self, texts: Sequence[Sequence[int]], config: DynamicConfig) -> float:
        """Return the mean cross-entropy in nats of texts, each from the trained weights, which stay as they were."""
        pulls = [(config.forgetting * relative).clamp_(max=1) for relative in self._relative]
        total = sum(self._summed_cross_entropy(text, config, pulls) for text in texts)
        return total / sum(len(text) + 1 for text in texts)

    def _summed_cross_entropy(
        self, text: Sequence[int], config: DynamicConfig, pulls: Sequence[Tensor]
    ) -> float:
        model = self._model
        state, total = model.zero_state(1), 0.0
        for inputs, targets in self._segments(text, config):
            with autocast(CPU, self._precision):
                features_1TF, state = model.read(inputs[None], state.detach())
                loss = chunked_cross_entropy(
                    features_1TF[0], model.output_matrix, model.output_bias, targets
                )
            total += loss.item()
            self._learn(self._gradients(loss / len(targets)), config.learning_rate, pulls)
        with torch.no_grad():
            torch._foreach_copy_(self._parameters, self._trained)
        return total

    def _segments(
        self, text: Sequence[int], config: DynamicConfig
    ) -> Iterator[tuple[Tensor, Tensor]]:
        size = config.segment
        inputs_T = torch.tensor([self._eos_id, *text])
        targets_T = torch.tensor([*text, self._eos_id])
        pieces = list(zip(inputs_T.split(size), targets_T.split(size), strict=True))
        doing = f"learning at {config.learning_rate:.2g}, forgetting at {config.forgetting:.2g}"
        yield from progress_bar(doing, len(pieces), of=pieces, leave=False)

    @torch.no_grad()
    def _learn(self, gradients: Sequence[Tensor], rate: float, pulls: Sequence[Tensor]) -> None:
        pieces = zip(self._parameters, gradients, self._trained, self._scales, pulls, strict=True)
        for weight, gradient, trained, scale, pull in pieces:
            weight.lerp_(trained, pull).addcdiv_(gradient, scale, value=-rate)


def fitted(cost: Callable[[DynamicConfig], float], best: DynamicConfig) -> DynamicConfig:
    """Double or halve one setting after the other for as long as that helps: there is no edge to stop at."""
    cost = cache(cost)
    before = None
    while best != before:
        before = best
        for name in ("learning_rate", "forgetting"):
            for factor in (2.0, 0.5):
                while cost(tried := _scaled(best, name, factor)) < cost(best) - LEAST_GAIN:
                    best = tried
    return best


def _scaled(config: DynamicConfig, name: str, factor: float) -> DynamicConfig:
    return replace(config, **{name: getattr(config, name) * factor})
