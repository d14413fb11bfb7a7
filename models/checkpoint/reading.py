"""Read a checkpoint, and refuse one that cannot be served."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from refrain.models.card import Card
from refrain.models.checkpoint.checkpoint import (
    CONFIG,
    FORMAT_VERSION,
    TOKENIZER,
    WEIGHTS,
    Checkpoint,
    Description,
    Model,
)
from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    ModelConfig,
    NGramConfig,
    config_from_dict,
)
from refrain.models.errors import CheckpointError, ConfigError, TokenizerError
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCacheConfig
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def load_checkpoint(directory: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint whole, in float32 and in evaluation mode.

    Raises
    ------
    CheckpointError
        Naming the file and the fault: missing, truncated, of another format version, with an
        impossible configuration, or with a tensor of the wrong name or shape.
    """
    described = describe_checkpoint(directory)
    tokenizer = _read_tokenizer(directory / TOKENIZER, described.tokenizer_kind)
    if tokenizer.vocab_size != described.config.vocab_size:
        raise CheckpointError(
            f"{directory / TOKENIZER}: has {tokenizer.vocab_size} tokens, but {CONFIG} says "
            f"{described.config.vocab_size}; the two files belong to different models"
        )
    model = _read_model(directory / WEIGHTS, described.config, device)
    return Checkpoint(
        described.name, model, tokenizer, described.card, described.neural_cache, directory
    )


def describe_checkpoint(directory: Path) -> Description:
    """Read what a checkpoint says of itself, without its weights.

    Raises
    ------
    CheckpointError
        If `config.json` is missing, truncated, of another format version, or with an impossible configuration.
    """
    config = _read_config(directory / CONFIG)
    try:
        model_config = config_from_dict(config["model"])
        card = Card.from_dict(config["card"])
        fitted = config.get("neural_cache")
        neural_cache = NeuralCacheConfig.from_dict(fitted) if fitted is not None else None
    except (KeyError, ConfigError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory / CONFIG}: {_reason(error)}") from error
    name = directory.absolute().name
    return Description(name, model_config, config.get("tokenizer"), card, neural_cache)


def _reason(error: Exception) -> str:
    return f"has no {error}" if isinstance(error, KeyError) else str(error)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: is missing; is the folder a checkpoint?") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not JSON ({error}); is it truncated?") from error
    version = config.get("format_version") if isinstance(config, dict) else None
    if version is None:
        raise CheckpointError(f"{path}: has no format_version: it is not a Refrain checkpoint")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has format_version {version!r}, but this version of Refrain reads "
            f"{FORMAT_VERSION}; train the model again or use the version that wrote it"
        )
    return dict(config)


def _read_tokenizer(path: Path, kind: Any) -> Tokenizer:
    text = _read_text(path)
    try:
        return Tokenizer.from_json(text, kind)
    except TokenizerError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_model(path: Path, config: ModelConfig, device: torch.device | str) -> Model:
    if not path.is_file():
        raise CheckpointError(f"{path}: is missing; is the folder a checkpoint?")
    try:
        tensors = load_file(path, device=str(device))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); is it truncated?") from error
    match config:
        case NGramConfig():
            try:
                return KneserNeyModel.from_tensors(config, tensors)
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {error}") from error
        case LanguageModelConfig():
            return _fill(LanguageModel, config, tensors, path).to(device)
        case ClassifierConfig():
            return _fill(Classifier, config, tensors, path).to(device)


def _fill(
    kind: Callable[[Any], ModuleT], config: ModelConfig, tensors: Mapping[str, Tensor], path: Path
) -> ModuleT:
    """Load the weights of a file into a model, after checking every name and shape, and that all are finite.

    The model is made without memory first: a configuration of absurd sizes is refused before anything is allocated.
    """
    with torch.device("meta"):
        model = kind(config)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != expected.get(name):
            raise CheckpointError(
                f"{path}: tensor {name} has shape {found}, but {CONFIG} asks for "
                f"{expected.get(name)}; the two files belong to different models"
            )
        if not tensors[name].isfinite().all():
            raise CheckpointError(f"{path}: tensor {name} holds numbers that are not finite")
    floats = {name: value.float() for name, value in tensors.items()}
    model.load_state_dict(floats, assign=True)
    return model.eval()
