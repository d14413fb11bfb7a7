"""How much memory training takes, by what it is for: an estimate."""

from __future__ import annotations

import torch
from torch import nn

from refrain.models.networks.language_model import LanguageModel
from refrain.training.optimize.cross_entropy.chunked import chunk_rows
from refrain.training.optimize.precision import Precision
from refrain.training.planning.probe import Probe
from refrain.training.recipe.train_recipe import TrainRecipe

MEBIBYTE = 2**20


def estimate_memory(
    recipe: TrainRecipe,
    model: nn.Module,
    probe: Probe,
    device: torch.device,
    precision: Precision,
) -> dict[str, int]:
    """Return the bytes of each purpose at the moment when most is in use: the end of a forward pass.

    What a few real steps took beyond these parts, for products on their way and in holes that the allocator keeps, is
    one more part; so is what a process holds before the first of them.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    is_process = device.type == "cpu"
    before = {
        "Python, torch and the text": max(0, probe.held_bytes - weights) if is_process else 0,
        "weights": weights,
        "average of the weights": weights if recipe.optimizer.averaging else 0,
    }
    grown = {
        "gradients": weights,
        "optimizer state": 2 * weights if recipe.optimizer.kind == "adamw" else 0,
        "activations of a window": probe.window_bytes,
    }
    if isinstance(model, LanguageModel):
        grown["logits"] = logits_bytes(recipe, model, probe.window_tokens, device, precision)
    grown["passing, as measured"] = max(0, probe.grown_bytes - sum(grown.values()))
    return {name: size for name, size in {**before, **grown}.items() if size}


def logits_bytes(
    recipe: TrainRecipe,
    model: LanguageModel,
    num_rows: int,
    device: torch.device,
    precision: Precision,
) -> int:
    """Return the bytes of the logits that exist at once, and of a product as large as the output matrix.

    The compiled softmax of bfloat16 works where the logits stand; else there are a copy in float32 and what the
    logarithm of the sum takes.
    """
    is_bfloat16 = precision == "bfloat16"
    each = 2 if is_bfloat16 and device.type == "cpu" else 12 if is_bfloat16 else 8
    num_columns = recipe.optimizer.num_sampled or model.vocab_size
    num_rows = min(num_rows, chunk_rows(model.vocab_size))
    product = model.output_matrix.numel() * 4
    return num_rows * num_columns * each + product
