"""What a checkpoint is once it is read, and the names of its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from refrain.models.card import Card
from refrain.models.config import ModelConfig
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCacheConfig
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer

FORMAT_VERSION = 1
CONFIG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, README, RUN_LOG = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
    "README.md",
    "run_log.jsonl",
)

Model = LanguageModel | Classifier | KneserNeyModel


@dataclass(frozen=True)
class Checkpoint:
    """A model with its tokenizer and card, ready to use.

    Attributes
    ----------
    neural_cache
        Where one was fitted to the model.
    directory
        The folder it was read from; None for one that was made here.
    """

    name: str
    model: Model
    tokenizer: Tokenizer
    card: Card
    neural_cache: NeuralCacheConfig | None = None
    directory: Path | None = None

    @property
    def config(self) -> ModelConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def task(self) -> str:
        """What the model does: "language_model", "ngram" or "classifier"."""
        return self.config.task


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself, without its weights."""

    name: str
    config: ModelConfig
    tokenizer_kind: Any
    card: Card
    neural_cache: NeuralCacheConfig | None = None


def bytes_of(model: Model) -> Iterator[bytes]:
    """Yield the name and the values of each tensor of a model, in the order of names."""
    tensors = model.state_dict() if isinstance(model, nn.Module) else model.tensors()
    for name in sorted(tensors):
        yield name.encode()
        yield tensors[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
