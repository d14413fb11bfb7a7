"""Networks that can be compared, and how they are trained.

Shapes: I width of the input, H width of the layer, G rows of all gates.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from refrain.models.config import CellName, LanguageModelConfig
from refrain.models.networks.cells import make_cell
from refrain.models.networks.language_model import LanguageModel
from refrain.training.optimize.optimizer import make_optimizer, one_cycle, set_learning_rate
from refrain.training.optimize.precision import autocast, choose_precision
from refrain.training.recipe.optimizer import OptimizerRecipe

CELLS: tuple[CellName, ...] = ("elman", "gru", "lstm")
CPU = torch.device("cpu")


def num_parameters(module: nn.Module) -> int:
    """Count the parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def width_nearest(cell: CellName, input_size: int, budget: int) -> int:
    """Return the width, of all, whose layer is nearest to `budget` parameters.

    A layer has G (I + H + 2) parameters, where G is H for an Elman cell, 3H for a GRU, 4H for an LSTM: of equal
    parameters, an LSTM is about half as wide as an Elman network. Where the compiled layer does not take a width,
    torch's kernel runs it.
    """

    def size(width: int) -> int:
        return num_parameters(make_cell(cell, input_size, width))

    wider = next(width for width in itertools.count(2) if size(width) > budget)
    return min(wider - 1, wider, key=lambda width: abs(size(width) - budget))


def make_network(
    cell: CellName,
    *,
    vocab_size: int,
    embedding_size: int,
    budget: int,
    seed: int,
    forget_bias: float = 1.0,
) -> LanguageModel:
    """Make a network of one recurrent layer with about `budget` parameters in that layer."""
    torch.manual_seed(seed)
    config = LanguageModelConfig(
        vocab_size=vocab_size,
        cell=cell,
        embedding_size=embedding_size,
        hidden_size=width_nearest(cell, embedding_size, budget),
        num_layers=1,
        tied=False,
        forget_bias=forget_bias,
    )
    return LanguageModel(config)


def fit(
    model: nn.Module,
    loss_of_batch: Callable[[], Tensor],
    *,
    num_steps: int,
    peak_rate: float,
    bar: tqdm[None],
    after_step: Callable[[int], None] | None = None,
) -> None:
    """Train under AdamW and one cycle; `loss_of_batch` gives the loss of the next batch.

    The networks of a study are all trained by this, so that they differ only in what is compared.
    """
    recipe = OptimizerRecipe(learning_rate=peak_rate)
    optimizer = make_optimizer(model, recipe)
    precision = choose_precision(CPU)
    model.train()
    for step in range(num_steps):
        with autocast(CPU, precision):
            loss = loss_of_batch()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        set_learning_rate(optimizer, one_cycle(step, num_steps, recipe))
        optimizer.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
        bar.update()
        if after_step is not None:
            after_step(step + 1)
    model.eval()
