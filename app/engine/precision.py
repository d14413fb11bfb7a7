"""Which form of a model runs: 8-bit integers where it has such a form and the processor is good at them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from app.engine.config import EngineConfig
from app.engine.int8_runner import Int8Runner
from app.engine.runner import Runner
from app.engine.torch_runner import TorchRunner
from models.bf16 import Bf16LanguageModel
from models.errors import PrecisionError
from models.int8 import Int8LanguageModel, has_int8_form
from models.kneser_ney import KneserNeyModel
from models.language_model import LanguageModel
from models.native.library import best_variant

Precision = Literal["auto", "int8", "bf16", "fp32"]
BF16_ROWS = 64
"""Rows of a bf16 product: below 48 a row's numbers were seen to depend on how many rows there are."""


def make_runner(
    model: LanguageModel | KneserNeyModel,
    precision: Precision,
    config: EngineConfig,
    *,
    boundary_id: int,
) -> tuple[str, Runner]:
    """Make what runs a model, and tell its precision.

    "auto" takes int8 on a processor, if the model has such a form; bfloat16 on a CUDA device; and float32 elsewhere. An
    n-gram model counts, so that its precision is always float32's.

    Raises
    ------
    PrecisionError
        If the model has no form of that precision.
    """
    if isinstance(model, KneserNeyModel):
        return "fp32", TorchRunner(model, config, boundary_id=boundary_id)
    is_on_processor = model.output_bias.device.type == "cpu"
    if precision == "auto":
        is_fast = has_int8_form(model) and best_variant() != "portable"
        on_processor: Precision = "int8" if is_fast else "fp32"
        precision = on_processor if is_on_processor else "bf16"
    if precision == "int8":
        if not is_on_processor:
            raise PrecisionError("int8 runs on processors; use --precision bf16 or fp32 with cuda")
        return "int8", Int8Runner(Int8LanguageModel(model), config, boundary_id=boundary_id)
    if precision == "bf16":
        tiled = replace(config, row_tile=BF16_ROWS)
        return "bf16", TorchRunner(Bf16LanguageModel(model), tiled, boundary_id=boundary_id)
    return "fp32", TorchRunner(model, config, boundary_id=boundary_id)


def version_of(model: LanguageModel | KneserNeyModel, precision: str) -> bytes:
    """Give 16 bytes that change with the weights and the precision: what a state belongs to."""
    digest = hashlib.blake2b(precision.encode(), digest_size=16)
    tensors = model.state_dict() if isinstance(model, nn.Module) else model.tensors()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(name.encode())
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.digest()
