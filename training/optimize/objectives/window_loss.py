"""The loss of a window, and of all windows of a split.

Shapes: B rows, T times, F features, V vocabulary, N kept targets.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches.window import IGNORED, Window
from refrain.training.optimize.cross_entropy.chunked import chunked_cross_entropy


def kept_rows(features_BTF: Tensor, kept_BT: Tensor) -> Tensor:
    """Return the features whose targets count, [N, F]: none are picked out where all do, which on CUDA would wait."""
    if kept_BT.all():
        return features_BTF.flatten(0, 1)
    return features_BTF[kept_BT.to(features_BTF.device)]


def window_start(
    model: LanguageModel, window: Window, state: RecurrentState | None, device: torch.device
) -> tuple[Tensor, RecurrentState]:
    """Return a window's tokens and the state before them: what the last window left, zero where a row begins."""
    tokens_BT = window.inputs_BT.to(device)
    if state is None or state.num_rows != len(tokens_BT):
        state = model.zero_state(len(tokens_BT))
    return tokens_BT, state.clear(window.starts_B.to(device))


def window_loss(
    model: LanguageModel, window: Window, state: RecurrentState | None, device: torch.device
) -> tuple[Tensor, int, RecurrentState]:
    """Return the summed cross-entropy in nats of a window's targets, their number, and the state after it."""
    tokens_BT, state = window_start(model, window, state, device)
    features_BTF, state = model.read(tokens_BT, state)
    kept_BT = window.targets_BT != IGNORED
    targets_N = window.targets_BT[kept_BT].to(device)
    total = chunked_cross_entropy(
        kept_rows(features_BTF, kept_BT), model.output_matrix, model.output_bias, targets_N
    )
    return total, len(targets_N), state


@torch.no_grad()
def summed_loss(
    model: LanguageModel, windows: Iterable[Window], device: torch.device
) -> tuple[float, int]:
    """Return the summed cross-entropy in nats over all targets of windows, and their number."""
    was_training = model.training
    model.eval()
    total, num_targets = 0.0, 0
    state: RecurrentState | None = None
    for window in windows:
        if not len(window.inputs_BT):
            continue
        loss, number, state = window_loss(model, window, state, device)
        total, num_targets = total + loss.item(), num_targets + number
    model.train(was_training)
    return total, num_targets
