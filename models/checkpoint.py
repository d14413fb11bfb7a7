"""A checkpoint directory: the only thing that training and serving share on disk.

config.json            format version, tokenizer kind, model configuration, card
tokenizer.json         as the `tokenizers` library writes it
tokenizer_config.json  the names of its special tokens, for the `transformers` library; not read here
model.safetensors      the weights; no pickle anywhere
README.md              the model card for people
run_log.jsonl          how training went, where it was kept; not needed to serve

Such a folder is a repository of the hub as it stands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from refrain.models.card import Card
from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    ModelConfig,
    NGramConfig,
    config_from_dict,
    config_to_dict,
)
from refrain.models.errors import CheckpointError, ConfigError, TokenizerError
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

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Model = LanguageModel | Classifier | KneserNeyModel


@dataclass(frozen=True)
class Checkpoint:
    """A model with its tokenizer and card, ready to use; `neural_cache` where one was fitted to it."""

    name: str
    model: Model
    tokenizer: Tokenizer
    card: Card
    neural_cache: NeuralCacheConfig | None = None

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


def find_checkpoints(directory: Path) -> list[Path]:
    """List the checkpoints in a folder: every sub-folder with a `config.json`, by name."""
    return sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))


def save_checkpoint(
    directory: Path,
    model: Model,
    tokenizer: Tokenizer,
    card: Card,
    *,
    readme: str = "",
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint; `config.json` comes last, so that a half-written one is never found.

    Parameters
    ----------
    dtype
        How floating-point weights are stored; they are read back to float32.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(model, KneserNeyModel):
        tensors = model.tensors()
    else:
        tensors = {
            k: v.detach().cpu().to(dtype).contiguous() for k, v in model.state_dict().items()
        }
    partial = directory / f"{WEIGHTS}.partial"
    save_file(tensors, partial)
    partial.chmod(0o644)
    os.replace(partial, directory / WEIGHTS)
    _write(directory / TOKENIZER, tokenizer.to_json())
    save_card(directory, Checkpoint(directory.name, model, tokenizer, card), readme=readme)


def save_card(directory: Path, checkpoint: Checkpoint, *, readme: str) -> None:
    """Write what a checkpoint says of itself, and leave its weights as they are."""
    config = {
        "format_version": FORMAT_VERSION,
        "tokenizer": checkpoint.tokenizer.kind,
        "model": config_to_dict(checkpoint.config),
        "card": checkpoint.card.to_dict(),
    }
    if checkpoint.neural_cache:
        config["neural_cache"] = asdict(checkpoint.neural_cache)
    save_readme(directory, checkpoint.tokenizer, readme)
    _write(directory / CONFIG, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def save_readme(directory: Path, tokenizer: Tokenizer, readme: str) -> None:
    """Write what only people and other libraries read of a checkpoint."""
    _write(directory / README, readme)
    special = json.dumps(tokenizer.special_names(), indent=2)
    _write(directory / TOKENIZER_CONFIG, special + "\n")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def bytes_of(model: Model) -> Iterator[bytes]:
    """Yield the name and the values of each tensor of a model, in the order of names."""
    tensors = model.state_dict() if isinstance(model, nn.Module) else model.tensors()
    for name in sorted(tensors):
        yield name.encode()
        yield tensors[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()


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
    return Checkpoint(described.name, model, tokenizer, described.card, described.neural_cache)


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
        neural_cache = NeuralCacheConfig(**fitted) if fitted is not None else None
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
