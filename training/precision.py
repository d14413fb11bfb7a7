"""Which arithmetic to train in: bfloat16 where the machine is faster with it, else float32."""

from __future__ import annotations

import time
from typing import Literal, cast

import torch

Precision = Literal["bfloat16", "float32"]


def choose_device(name: str = "auto") -> torch.device:
    """Take CUDA where there is one, unless told otherwise."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def choose_precision(device: torch.device, asked: str = "auto") -> Precision:
    """Take what was asked for, or probe once: bfloat16 if its product takes at most four fifths of float32's time."""
    if asked != "auto":
        return cast("Precision", asked)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if _seconds(torch.bfloat16) < 0.8 * _seconds(torch.float32) else "float32"


def _seconds(dtype: torch.dtype) -> float:
    """Time the best of a few products 256 x 512 x 2048."""
    left, right = torch.ones(256, 512, dtype=dtype), torch.ones(2048, 512, dtype=dtype)
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        best = min(best, time.perf_counter() - start)
    return best


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Give the context in which forward passes run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
