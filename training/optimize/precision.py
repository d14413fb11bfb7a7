"""Which arithmetic to train in: bfloat16 where the machine has it, else float32."""

from __future__ import annotations

from typing import Literal, cast

import torch

from refrain.training.errors import RecipeError

Precision = Literal["bfloat16", "float32"]


def choose_device(name: str = "auto") -> torch.device:
    """Take CUDA where there is one, unless another device is named.

    Raises
    ------
    RecipeError
        If CUDA is asked for, and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            f"torch {torch.__version__} finds no CUDA device here: leave --device out, or install a build for CUDA"
        )
    return torch.device(name)


def choose_precision(device: torch.device, asked: str = "auto") -> Precision:
    """Take what was asked for, else bfloat16 where the device has instructions for it."""
    if asked != "auto":
        return cast("Precision", asked)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which forward passes run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
