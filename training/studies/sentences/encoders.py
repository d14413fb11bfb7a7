"""Classifiers of sentences that differ in how they see one: by an average of word vectors, or word after word.

Shapes: B rows, T times, V vocabulary, E width of a word's vector, H width of the hidden layer, M meanings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refrain.models.config import CellName, ClassifierConfig
from refrain.models.networks.classifier import Classifier
from refrain.training.studies.networks import CELLS, num_parameters, width_nearest
from refrain.training.studies.sentences.pairs import meanings

EMBEDDING_SIZE = 32
CELL_BUDGET = 8_000


class AverageClassifier(nn.Module):
    """A hidden layer over the mean of the word vectors; counted first, so that no order shows in its rounding."""

    def __init__(self, vocab_size: int, hidden_size: int, num_labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, EMBEDDING_SIZE)
        self.hidden = nn.Linear(EMBEDDING_SIZE, hidden_size)
        self.output = nn.Linear(hidden_size, num_labels)

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the logits_BM of texts of `lengths_B` tokens, padded at their end."""
        is_word_BT = torch.arange(tokens_BT.shape[1]) < lengths_B[:, None]
        counts_BV = torch.zeros(len(tokens_BT), self.embedding.num_embeddings)
        counts_BV.scatter_add_(1, tokens_BT, is_word_BT.float())
        mean_BE = counts_BV @ self.embedding.weight / lengths_B[:, None]
        logits_BM: Tensor = self.output(torch.tanh(self.hidden(mean_BE)))
        return logits_BM


def hidden_width(encoder: str) -> int:
    """Return the width whose hidden layer is nearest to `CELL_BUDGET` parameters."""
    if encoder == "average":
        return round(CELL_BUDGET / (EMBEDDING_SIZE + 1))
    return width_nearest(_cell(encoder), EMBEDDING_SIZE, CELL_BUDGET)


def make_classifier(encoder: str, vocab_size: int, seed: int) -> AverageClassifier | Classifier:
    """Make a classifier with one hidden layer of about `CELL_BUDGET` parameters."""
    width, labels = hidden_width(encoder), meanings()
    torch.manual_seed(seed)
    if encoder == "average":
        return AverageClassifier(vocab_size, width, len(labels))
    config = ClassifierConfig(
        vocab_size=vocab_size,
        labels=tuple(labels),
        label_scores=(0.0,) * len(labels),
        cell=_cell(encoder),
        embedding_size=EMBEDDING_SIZE,
        hidden_size=width,
        bidirectional=False,
        pooling="last",
    )
    return Classifier(config)


def _cell(encoder: str) -> CellName:
    (cell,) = (name for name in CELLS if name == encoder)
    return cell


def hidden_parameters(model: AverageClassifier | Classifier) -> int:
    """Count the parameters between the word vectors and the output."""
    return num_parameters(model) - num_parameters(model.embedding) - num_parameters(model.output)
