"""Which form of a model runs: 8-bit integers where it has such a form and the processor is good at them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.runner import Runner
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.inference.runners.torch_runner import TorchRunner
from refrain.models.checkpoint import Checkpoint, bytes_of
from refrain.models.errors import PrecisionError
from refrain.models.int8 import Int8LanguageModel, has_int8_form
from refrain.models.native.step.library import best_variant
from refrain.models.native.step.shape import ModelShape
from refrain.models.networks.bf16_language_model import Bf16LanguageModel
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel

Precision = Literal["auto", "int8", "bf16", "fp32"]
INT8_FORM = 2
"""Counts up whenever the integer form of the same weights computes other numbers; 2: the table has a fixed order."""
BF16_ROWS = 64
"""Rows of a bf16 product: below 48 a row's numbers were seen to depend on how many rows there are."""


def make_runner(
    model: LanguageModel | KneserNeyModel,
    precision: Precision,
    config: EngineConfig,
    *,
    eos_id: int,
) -> tuple[str, Runner]:
    """Make what runs a model; return its precision too.

    "auto" takes int8 on a processor, if the model has such a form; bfloat16 on a CUDA device; and float32 elsewhere. An
    n-gram model counts, so that its precision is always float32's.

    Raises
    ------
    PrecisionError
        If the model has no form of that precision, or there is none of that name.
    """
    if isinstance(model, KneserNeyModel):
        return "fp32", TorchRunner(model, config, eos_id=eos_id)
    is_on_processor = model.output_bias.device.type == "cpu"
    if precision == "auto":
        is_fast = has_int8_form(model) and best_variant() != "portable"
        precision = ("int8" if is_fast else "fp32") if is_on_processor else "bf16"
    if precision == "int8":
        if not is_on_processor:
            raise PrecisionError("int8 runs on processors; use --precision bf16 or fp32 with cuda")
        return "int8", Int8Runner(Int8LanguageModel(model), config, eos_id=eos_id)
    if precision == "bf16":
        tiled = replace(config, row_tile=BF16_ROWS)
        return "bf16", TorchRunner(Bf16LanguageModel(model), tiled, eos_id=eos_id)
    if precision != "fp32":
        raise PrecisionError(f"precision is auto, int8, bf16 or fp32, not {precision!r}")
    return "fp32", TorchRunner(model, config, eos_id=eos_id)


def version_of(checkpoint: Checkpoint, precision: str, shape: ModelShape) -> bytes:
    """Return 16 bytes that change with whatever a state depends on.

    These are the weights, the precision, the layout of a slot, the tokenizer and, in int8, the form of the network:
    the same weights in another form, or under another tokenizer, remember another text.
    """
    digest = hashlib.blake2b(digest_size=16)
    form = f"int8 form {INT8_FORM}" if precision == "int8" else precision
    for part in (form, shape.spelled(), checkpoint.tokenizer.to_json()):
        digest.update(hashlib.blake2b(part.encode()).digest())
    for part_of_model in bytes_of(checkpoint.model):
        digest.update(part_of_model)
    return digest.digest()
