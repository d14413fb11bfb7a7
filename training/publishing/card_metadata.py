"""The front matter of a model card: YAML that the hub reads, of the fields that `huggingface_hub` knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from refrain.models.card import Card, Metric
from refrain.models.config import ModelConfig, NGramConfig
from refrain.training.data.datasets.registry import DATASETS
from refrain.training.publishing.licence import hub_licence

_PIPELINES = {
    "language_model": "text-generation",
    "ngram": "text-generation",
    "classifier": "text-classification",
}
_OF_THE_CHECKPOINT = {"": "", "int8": " (int8)"}
"""The forms of a checkpoint whose metrics its index lists; baselines are other models."""


def front_matter(name: str, config: ModelConfig, card: Card) -> str:
    """Write the block between the two lines of dashes, and these."""
    block = yaml.safe_dump(
        metadata(name, config, card), sort_keys=False, allow_unicode=True, width=120
    )
    return f"---\n{block}---\n"


def metadata(name: str, config: ModelConfig, card: Card) -> dict[str, Any]:
    """Return the facts of a card under the hub's names.

    What the hub would not understand is left out: a language that is no ISO 639 code, a corpus that is a file.
    """
    licence = hub_licence(card.license)
    values: dict[str, Any] = {
        "language": card.language if re.fullmatch("[a-z]{2,3}", card.language) else None,
        "license": licence.identifier,
        "license_name": licence.name,
        "license_link": licence.link,
        "pipeline_tag": _PIPELINES[config.task],
        "library_name": "refrain",
        "tags": _tags(config),
        "datasets": [card.dataset] if card.dataset in DATASETS else None,
        "model-index": _model_index(name, config, card),
    }
    return {key: value for key, value in values.items() if value}


def _tags(config: ModelConfig) -> list[str]:
    if isinstance(config, NGramConfig):
        return ["n-gram", "kneser-ney", f"{config.order}-gram"]
    return ["recurrent-neural-network", config.cell, config.task.replace("_", "-")]


def _model_index(name: str, config: ModelConfig, card: Card) -> list[dict[str, Any]]:
    """Return the metrics of the checkpoint itself, a result for each split."""
    own = [metric for metric in card.metrics if metric.model in _OF_THE_CHECKPOINT]
    splits = dict.fromkeys(metric.split for metric in own)
    results = [
        _result(config, card, split, [metric for metric in own if metric.split == split])
        for split in splits
    ]
    return [{"name": name, "results": results}] if results else []


def _result(
    config: ModelConfig, card: Card, split: str, metrics: Sequence[Metric]
) -> dict[str, Any]:
    pipeline = _PIPELINES[config.task]
    title = DATASETS[card.dataset].title if card.dataset in DATASETS else card.dataset
    return {
        "task": {"type": pipeline, "name": pipeline.replace("-", " ").capitalize()},
        "dataset": {"type": card.dataset, "name": title, "split": split},
        "metrics": [
            {
                "type": metric.name,
                "value": metric.value,
                "name": metric.name.replace("_", " ").capitalize()
                + _OF_THE_CHECKPOINT[metric.model],
            }
            for metric in metrics
        ],
    }
