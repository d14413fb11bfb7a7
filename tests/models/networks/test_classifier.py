"""A classifier reads a text the same whatever shares its batch and however it is padded."""

import pytest
import torch

from refrain.models.config import ClassifierConfig
from refrain.models.networks.classifier import Classifier, pool
from refrain.models.networks.padding import pad_texts


def make(**changes) -> Classifier:
    torch.manual_seed(0)
    values = {
        "vocab_size": 20,
        "labels": ("no", "yes"),
        "label_scores": (0.0, 1.0),
        "embedding_size": 6,
        "hidden_size": 5,
    }
    return Classifier(ClassifierConfig(**{**values, **changes})).eval()


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_batched_equals_alone(pooling, bidirectional) -> None:
    model = make(pooling=pooling, bidirectional=bidirectional, num_layers=2)
    texts = [[3, 4, 5, 6, 7, 8], [9], [], [10, 11, 12]]
    together = model(*pad_texts(texts, 1))
    for row, text in enumerate(texts):
        torch.testing.assert_close(together[row : row + 1], model(*pad_texts([text], 1)))


def test_pooling_takes_what_it_says_of_the_valid_times() -> None:
    outputs = torch.tensor([[[1.0, 9.0], [5.0, 2.0], [100.0, 100.0]]])
    lengths = torch.tensor([2])
    assert pool(outputs, lengths, "max", bidirectional=False).tolist() == [[5, 9]]
    assert pool(outputs, lengths, "mean", bidirectional=False).tolist() == [[3, 5.5]]
    assert pool(outputs, lengths, "last", bidirectional=False).tolist() == [[5, 2]]
    assert pool(outputs, lengths, "last", bidirectional=True).tolist() == [[5, 9]]
    assert pool(outputs, lengths, "mean_max", bidirectional=True).tolist() == [[3, 5.5, 5, 9]]


def test_padding_puts_the_boundary_before_each_text() -> None:
    tokens, lengths = pad_texts([[5, 6], []], eos_id=1)
    assert tokens.tolist() == [[1, 5, 6], [1, 1, 1]]
    assert lengths.tolist() == [3, 1]
