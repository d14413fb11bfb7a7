"""A language model's figures with help: mixed with an n-gram, with a neural cache, or learning as it reads.

Each help is fitted on the validation texts and reported on both splits. A corpus that is one stream is read in one
lane, from its first token to its last; documents are texts of their own.

Shapes: T tokens of a text, F features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from refrain.models.card import Metric
from refrain.models.checkpoint import Checkpoint
from refrain.models.config import NGramConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.training.data.batches import StreamWindows, TokenStream
from refrain.training.data.corpus import Split, TextCorpus
from refrain.training.errors import RecipeError
from refrain.training.evaluation.evaluate import CPU, joined
from refrain.training.evaluation.neural_cache import ReadText, cache_probs, fit, perplexity
from refrain.training.optimize.cross_entropy import chunked_cross_entropy
from refrain.training.optimize.objective import window_loss
from refrain.training.optimize.precision import autocast, choose_precision
from refrain.training.publishing.card import DYNAMIC, NEURAL_CACHE, WITH_KNESER_NEY
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.setup import documents_to_count, training_tokens

Help = Literal["kneser-ney", "cache", "dynamic"]
SPLITS: tuple[Split, ...] = ("validation", "test")
ORDER = 5
WINDOW = 128
CACHE_WINDOW = 3_000
MIXTURE_WEIGHTS = tuple(np.arange(0.02, 1.0, 0.02).tolist())


def measure_with(
    checkpoint: Checkpoint, corpus: TextCorpus, helps: Sequence[Help]
) -> Iterator[list[Metric]]:
    """Measure a checkpoint's perplexity on validation and test with one help after the other.

    Raises
    ------
    RecipeError
        At once, if the checkpoint is no recurrent language model.
    """
    model = checkpoint.model
    if not isinstance(model, LanguageModel):
        raise RecipeError(
            f"{checkpoint.name} is a {checkpoint.task}: only a recurrent language model takes help"
        )
    return _measured_with(model, checkpoint, corpus, helps)


def _measured_with(
    model: LanguageModel, checkpoint: Checkpoint, corpus: TextCorpus, helps: Sequence[Help]
) -> Iterator[list[Metric]]:
    texts = {split: _texts(checkpoint, corpus, split) for split in SPLITS}
    if "kneser-ney" in helps or "cache" in helps:
        read = {
            split: read_texts(model, texts[split], checkpoint.tokenizer.eos_id) for split in SPLITS
        }
        if "kneser-ney" in helps:
            yield _mixed_with_ngram(checkpoint, corpus, read)
        if "cache" in helps:
            yield _with_cache(read)
    if "dynamic" in helps:
        train, _ = training_tokens(corpus, checkpoint.tokenizer)
        yield _learning_as_it_reads(model, train, texts, checkpoint.tokenizer.eos_id)


def _texts(checkpoint: Checkpoint, corpus: TextCorpus, split: Split) -> list[list[int]]:
    """Return the token ids of each text of a split; a stream is one text."""
    tokenizer = checkpoint.tokenizer
    ids = tokenizer.encode_batch(corpus.documents[split])
    return [joined(ids, tokenizer.eos_id)] if corpus.unit == "stream" else ids


@torch.no_grad()
def read_texts(
    model: LanguageModel, texts: Sequence[Sequence[int]], boundary_id: int
) -> list[ReadText]:
    """Read texts in float32, one after the other: what the model gave each token, and its features before it."""
    found = []
    with progress_bar("reading", sum(map(len, texts)), unit="token") as bar:
        for text in texts:
            targets_T = torch.tensor([*text, boundary_id])
            inputs_T = torch.tensor([boundary_id, *text])
            state = model.zero_state(1)
            # Made at once: pieces that are kept while the logits come and go would leave holes as large as these.
            probs_T = torch.empty(len(targets_T), dtype=torch.float64)
            hidden_TF = torch.empty(len(targets_T), model.output_matrix.shape[1])
            for first in range(0, len(targets_T), WINDOW):
                window = slice(first, first + WINDOW)
                features_1TF, state = model.read(inputs_T[None, window], state)
                log_probs_TV = model.logits(features_1TF[0]).log_softmax(1)
                log_probs_T1 = log_probs_TV.gather(1, targets_T[window, None])
                probs_T[window] = log_probs_T1.squeeze(1).double().exp()
                hidden_TF[window] = features_1TF[0]
                bar.update(len(log_probs_T1))
            found.append(ReadText(targets_T, probs_T.numpy(), hidden_TF))
    return found


def _perplexity(probs: np.ndarray) -> float:
    return float(np.exp(-np.log(probs).mean()))


def _metrics(name: str, figures: dict[Split, float]) -> list[Metric]:
    return [Metric("perplexity", split, round(figures[split], 4), name) for split in SPLITS]


def _mixed_with_ngram(
    checkpoint: Checkpoint, corpus: TextCorpus, read: dict[Split, list[ReadText]]
) -> list[Metric]:
    """Mix with a Kneser-Ney model of the training texts, at the weight that suits validation."""
    tokenizer = checkpoint.tokenizer
    config = NGramConfig(
        vocab_size=tokenizer.vocab_size,
        order=ORDER,
        boundary_id=tokenizer.eos_id,
        unk_id=tokenizer.unk_id,
    )
    ngram = KneserNeyModel.estimate(documents_to_count(corpus, tokenizer), config)
    own, others = {}, {}
    for split in SPLITS:
        own[split] = np.concatenate([text.probs_T for text in read[split]])
        others[split] = np.concatenate(
            [
                np.exp(ngram.target_log_probs(np.array([tokenizer.eos_id, *text.targets_T])))
                for text in read[split]
            ]
        )

    def mixed(split: Split, weight: float) -> float:
        return _perplexity((1 - weight) * own[split] + weight * others[split])

    weight = min(MIXTURE_WEIGHTS, key=partial(mixed, "validation"))
    name = f"{WITH_KNESER_NEY} {ORDER}-gram, weight {weight:.2g}"
    return _metrics(name, {split: mixed(split, weight) for split in SPLITS})


def _with_cache(read: dict[Split, list[ReadText]]) -> list[Metric]:
    """Blend with a neural cache (Grave et al. 2016) that is trusted as far as it deserves."""
    config = fit(read["validation"], CACHE_WINDOW)
    figures = {
        split: perplexity(
            texts, [cache_probs(text, config.flatness, config.window) for text in texts], config
        )
        for split, texts in read.items()
    }
    return _metrics(NEURAL_CACHE, figures)


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
TUNING_TOKENS = 12_000
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
        boundary_id: int,
    ) -> None:
        self._model = model
        self._boundary_id = boundary_id
        self._precision = choose_precision(CPU)
        self._parameters: list[Tensor] = list(model.parameters())
        self._trained = [parameter.detach().clone() for parameter in self._parameters]
        all_rms = self._gradient_rms(train)
        mean = sum(float(rms.sum()) for rms in all_rms) / sum(rms.numel() for rms in all_rms)
        self._relative = [rms / mean for rms in all_rms]
        self._scales = [rms + EPSILON for rms in all_rms]

    def _gradient_rms(self, train: Sequence[Sequence[int]] | TokenStream) -> list[Tensor]:
        """Return the root mean square of each weight's gradient over windows of the training texts."""
        windows = StreamWindows(
            train, boundary_id=self._boundary_id, batch_size=32, window=20, seed=0
        )
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
        inputs_T = torch.tensor([self._boundary_id, *text])
        targets_T = torch.tensor([*text, self._boundary_id])
        pieces = list(zip(inputs_T.split(size), targets_T.split(size), strict=True))
        doing = f"learning at {config.learning_rate:.2g}, forgetting at {config.forgetting:.2g}"
        yield from progress_bar(doing, len(pieces), of=pieces, leave=False)

    @torch.no_grad()
    def _learn(self, gradients: Sequence[Tensor], rate: float, pulls: Sequence[Tensor]) -> None:
        pieces = zip(self._parameters, gradients, self._trained, self._scales, pulls, strict=True)
        for weight, gradient, trained, scale, pull in pieces:
            weight.lerp_(trained, pull).addcdiv_(gradient, scale, value=-rate)


def _learning_as_it_reads(
    model: LanguageModel,
    train: Sequence[Sequence[int]] | TokenStream,
    texts: dict[Split, list[list[int]]],
    boundary_id: int,
) -> list[Metric]:
    """Fit dynamic evaluation on the beginning of validation, and measure with it."""
    evaluation = DynamicEvaluation(model, train, boundary_id)
    tuning = list(_beginning(texts["validation"], TUNING_TOKENS))
    best = fitted(partial(evaluation.cross_entropy, tuning), FIRST_TRIED)
    figures = {split: math.exp(evaluation.cross_entropy(texts[split], best)) for split in SPLITS}
    name = f"{DYNAMIC}, learning rate {best.learning_rate:.2g}, forgetting {best.forgetting:.2g}"
    return _metrics(name, figures)


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


def _beginning(texts: Sequence[Sequence[int]], num_tokens: int) -> Iterator[Sequence[int]]:
    """Yield the first tokens of texts."""
    for text in texts:
        if num_tokens <= 0:
            return
        yield text[:num_tokens]
        num_tokens -= len(text)
