"""Texts through a model in float32, one after the other.

Shapes: T tokens of a text, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from refrain.models.networks.language_model import LanguageModel
from refrain.training.evaluation.neural_cache import ReadText
from refrain.training.reporting.progress_bar import progress_bar

WINDOW = 128


@torch.no_grad()
def read_texts(model: LanguageModel, texts: Sequence[Sequence[int]], eos_id: int) -> list[ReadText]:
    """Read texts in float32, one after the other: what the model gave each token, and its features before it."""
    found = []
    with progress_bar("reading", sum(map(len, texts)), unit="token") as bar:
        for text in texts:
            targets_T = torch.tensor([*text, eos_id])
            inputs_T = torch.tensor([eos_id, *text])
            state = model.zero_state(1)
            # Made at once: pieces that are kept while the logits come and go would leave holes as large as these.
            probs_T = torch.empty(len(targets_T), dtype=torch.float64)
            hidden_TF = torch.empty(len(targets_T), model.output_matrix.shape[1])
            for first in range(0, len(targets_T), WINDOW):
                window = slice(first, first + WINDOW)
                features_1TF, state = model.read(inputs_T[None, window], state)
                log_probs_TV = model.logits(features_1TF[0]).log_softmax(1)
                log_probs_T1 = log_probs_TV.gather(1, targets_T[window, None])
                probs_T[window] = log_probs_T1.squeeze(1).double().exp()
                hidden_TF[window] = features_1TF[0]
                bar.update(len(log_probs_T1))
            found.append(ReadText(targets_T, probs_T.numpy(), hidden_TF))
    return found
