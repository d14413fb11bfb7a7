"""A language model's perplexity with adaptation: an n-gram, a neural cache, or dynamic evaluation.

Each method is fitted on the validation texts and reported on both splits. A corpus that is one stream is read in one
lane, from its first token to its last; documents are texts of their own.

Shapes: T tokens of a text, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from refrain.models.card import Metric
from refrain.models.checkpoint import Checkpoint
from refrain.models.config import NGramConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.training.data.batches.window import TokenStream
from refrain.training.data.corpus import Split, TextCorpus
from refrain.training.errors import RecipeError
from refrain.training.evaluation.dynamic_evaluation import (
    FIRST_TRIED,
    DynamicEvaluation,
    fitted,
)
from refrain.training.evaluation.evaluate import joined
from refrain.training.evaluation.neural_cache import ReadText, cache_probs, fit, perplexity
from refrain.training.evaluation.reading import read_texts
from refrain.training.publishing.card import DYNAMIC, NEURAL_CACHE, WITH_KNESER_NEY
from refrain.training.setup.ngram import documents_to_count
from refrain.training.setup.tokens import training_tokens

AdaptationMethod = Literal["kneser-ney", "cache", "dynamic"]
SPLITS: tuple[Split, ...] = ("validation", "test")
ORDER = 5
CACHE_WINDOW = 3_000
MIXTURE_WEIGHTS = tuple(np.arange(0.02, 1.0, 0.02).tolist())


def measure_with_adaptation(
    checkpoint: Checkpoint, corpus: TextCorpus, methods: Sequence[AdaptationMethod]
) -> Iterator[list[Metric]]:
    """Measure a checkpoint's perplexity on validation and test with one adaptation method after the other.

    Raises
    ------
    RecipeError
        At once, if the checkpoint is no recurrent language model.
    """
    model = checkpoint.model
    if not isinstance(model, LanguageModel):
        raise RecipeError(
            f"{checkpoint.name} is a {checkpoint.task}: only a recurrent language model can be adapted"
        )
    return _measure_each(model, checkpoint, corpus, methods)


def _measure_each(
    model: LanguageModel,
    checkpoint: Checkpoint,
    corpus: TextCorpus,
    methods: Sequence[AdaptationMethod],
) -> Iterator[list[Metric]]:
    texts = {split: _texts(checkpoint, corpus, split) for split in SPLITS}
    if "kneser-ney" in methods or "cache" in methods:
        read = {
            split: read_texts(model, texts[split], checkpoint.tokenizer.eos_id) for split in SPLITS
        }
        if "kneser-ney" in methods:
            yield _mixed_with_ngram(checkpoint, corpus, read)
        if "cache" in methods:
            yield _blended_with_cache(read)
    if "dynamic" in methods:
        train, _ = training_tokens(corpus, checkpoint.tokenizer)
        yield _learning_as_it_reads(model, train, texts, checkpoint.tokenizer.eos_id)


def _texts(checkpoint: Checkpoint, corpus: TextCorpus, split: Split) -> list[list[int]]:
    """Return the token ids of each text of a split; a stream is one text."""
    tokenizer = checkpoint.tokenizer
    ids = tokenizer.encode_batch(corpus.documents[split])
    return [joined(ids, tokenizer.eos_id)] if corpus.unit == "stream" else ids


def _perplexity(probs: np.ndarray) -> float:
    return float(np.exp(-np.log(probs).mean()))


def _metrics(name: str, perplexities: dict[Split, float]) -> list[Metric]:
    return [Metric("perplexity", split, round(perplexities[split], 4), name) for split in SPLITS]


def _mixed_with_ngram(
    checkpoint: Checkpoint, corpus: TextCorpus, read: dict[Split, list[ReadText]]
) -> list[Metric]:
    """Mix with a Kneser-Ney model of the training texts, at the weight that suits validation."""
    tokenizer = checkpoint.tokenizer
    config = NGramConfig(
        vocab_size=tokenizer.vocab_size,
        order=ORDER,
        eos_id=tokenizer.eos_id,
        unk_id=tokenizer.unk_id,
    )
    ngram = KneserNeyModel.estimate(documents_to_count(corpus, tokenizer), config)
    model_probs, ngram_probs = {}, {}
    for split in SPLITS:
        model_probs[split] = np.concatenate([text.probs_T for text in read[split]])
        ngram_probs[split] = np.concatenate(
            [
                np.exp(ngram.target_log_probs(np.array([tokenizer.eos_id, *text.targets_T])))
                for text in read[split]
            ]
        )

    def mixed(split: Split, weight: float) -> float:
        return _perplexity((1 - weight) * model_probs[split] + weight * ngram_probs[split])

    weight = min(MIXTURE_WEIGHTS, key=partial(mixed, "validation"))
    name = f"{WITH_KNESER_NEY} {ORDER}-gram, weight {weight:.2g}"
    return _metrics(name, {split: mixed(split, weight) for split in SPLITS})


def _blended_with_cache(read: dict[Split, list[ReadText]]) -> list[Metric]:
    """Blend with a neural cache (Grave et al. 2016) that is trusted as far as it deserves."""
    config = fit(read["validation"], CACHE_WINDOW)
    perplexities = {
        split: perplexity(
            texts,
            [cache_probs(text, config.inverse_temperature, config.window) for text in texts],
            config,
        )
        for split, texts in read.items()
    }
    return _metrics(NEURAL_CACHE, perplexities)


TUNING_TOKENS = 12_000


def _learning_as_it_reads(
    model: LanguageModel,
    train: Sequence[Sequence[int]] | TokenStream,
    texts: dict[Split, list[list[int]]],
    eos_id: int,
) -> list[Metric]:
    """Fit dynamic evaluation on the beginning of validation, and measure with it."""
    evaluation = DynamicEvaluation(model, train, eos_id)
    tuning = list(_beginning(texts["validation"], TUNING_TOKENS))
    best = fitted(partial(evaluation.cross_entropy, tuning), FIRST_TRIED)
    perplexities = {
        split: math.exp(evaluation.cross_entropy(texts[split], best)) for split in SPLITS
    }
    name = f"{DYNAMIC}, learning rate {best.learning_rate:.2g}, forgetting {best.forgetting:.2g}"
    return _metrics(name, perplexities)


def _beginning(texts: Sequence[Sequence[int]], num_tokens: int) -> Iterator[Sequence[int]]:
    """Yield the first tokens of texts."""
    for text in texts:
        if num_tokens <= 0:
            return
        yield text[:num_tokens]
        num_tokens -= len(text)
