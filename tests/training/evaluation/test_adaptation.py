"""Mixtures are what their formula says, and every method is reported on both splits."""

import math
from itertools import chain

import numpy as np
import pytest

from refrain.models.config import NGramConfig
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.training.evaluation.adaptation import MIXTURE_WEIGHTS, measure_with_adaptation
from tests.support.tiny_checkpoint import CORPUS, LINES, checkpoint, model_probs, stream


def test_the_mixture_is_the_weighted_mean_of_both_models_at_validations_best_weight() -> None:
    tiny = checkpoint()
    boundary = tiny.tokenizer.eos_id
    ngram = KneserNeyModel.estimate(
        tiny.tokenizer.encode_batch(LINES),
        NGramConfig(vocab_size=tiny.tokenizer.vocab_size, order=5),
    )

    def mixed(split: str, weight: float) -> float:
        ids = stream(split, tiny.tokenizer)
        other = np.exp(ngram.target_log_probs(np.array([boundary, *ids])))
        mixture = (1 - weight) * model_probs(tiny.model, ids, boundary) + weight * other
        return float(np.exp(-np.log(mixture).mean()))

    ((validation, test),) = measure_with_adaptation(tiny, CORPUS, ["kneser-ney"])
    weight = float(validation.model.rpartition(" ")[2])
    assert weight == pytest.approx(min(MIXTURE_WEIGHTS, key=lambda w: mixed("validation", w)))
    assert validation.value == pytest.approx(mixed("validation", weight), abs=1e-4)
    assert test.value == pytest.approx(mixed("test", weight), abs=1e-4)


def test_every_help_is_reported_on_both_splits() -> None:
    metrics = list(chain(*measure_with_adaptation(checkpoint(), CORPUS, ["cache", "dynamic"])))
    assert [(metric.split, metric.model.partition(",")[0]) for metric in metrics] == [
        ("validation", "neural cache"),
        ("test", "neural cache"),
        ("validation", "dynamic evaluation"),
        ("test", "dynamic evaluation"),
    ]
    assert all(math.isfinite(metric.value) for metric in metrics)
