"""Write a checkpoint, or only what it says of itself."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from refrain.models.card import Card
from refrain.models.checkpoint.checkpoint import (
    CONFIG,
    FORMAT_VERSION,
    README,
    TOKENIZER,
    TOKENIZER_CONFIG,
    WEIGHTS,
    Checkpoint,
    Model,
)
from refrain.models.config import config_to_dict
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.splitter import EOS, UNK
from refrain.models.text.tokenizer import Tokenizer

SPECIAL_TOKENS = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": EOS,
    "eos_token": EOS,
    "unk_token": UNK,
    "clean_up_tokenization_spaces": False,
}
"""The `tokenizer_config.json` from which the `transformers` library knows what the special tokens are."""


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
    save_readme(directory, readme)
    _write(directory / CONFIG, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def save_readme(directory: Path, readme: str) -> None:
    """Write what only people and other libraries read of a checkpoint."""
    _write(directory / README, readme)
    _write(directory / TOKENIZER_CONFIG, json.dumps(SPECIAL_TOKENS, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
