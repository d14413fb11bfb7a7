"""Classes of a batch of texts, against each text by itself."""

import pytest
import torch

from refrain.models.config import ClassifierConfig
from refrain.models.networks.classifier import Classifier

BOUNDARY = 1
LABELS = ("negative", "neutral", "positive")


def classifier() -> Classifier:
    torch.manual_seed(2)
    config = ClassifierConfig(
        vocab_size=30,
        labels=LABELS,
        label_scores=(0.0, 0.5, 1.0),
        embedding_size=8,
        hidden_size=6,
    )
    model = Classifier(config).eval()
    for parameter in model.parameters():  # far from uniform, so that texts differ
        parameter.data *= 3
    return model


@torch.no_grad()
def alone(model: Classifier, ids: list[int]) -> list[float]:
    """The softmax of the logits of the boundary and a text, written out."""
    tokens_BT = torch.tensor([[BOUNDARY, *ids]])
    logits_K = model(tokens_BT, torch.tensor([len(ids) + 1]))[0].double()
    weights_K = torch.exp(logits_K - logits_K.max())
    return (weights_K / weights_K.sum()).tolist()


def texts(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(count)
    lengths = torch.randint(1, 12, (count,), generator=generator).tolist()
    return [torch.randint(2, 30, (n,), generator=generator).tolist() for n in lengths]


@pytest.mark.parametrize("count", [1, 5, 32])
def test_texts_of_any_lengths_read_together_get_what_each_gets_alone(count) -> None:
    model = classifier()
    found = model.probabilities(texts(count), BOUNDARY)
    assert len(found) == count
    for row, ids in zip(found, texts(count), strict=True):
        assert row == pytest.approx(alone(model, ids), abs=1e-6)
    assert count == 1 or len({tuple(row) for row in found}) > 1


def test_every_text_has_a_distribution_over_the_classes() -> None:
    for row in classifier().probabilities(texts(7), BOUNDARY):
        assert len(row) == len(LABELS)
        assert all(0 < probability < 1 for probability in row)
        assert sum(row) == pytest.approx(1, abs=1e-6)


def test_the_order_of_texts_changes_no_answer() -> None:
    model, ids = classifier(), texts(6)
    forwards = model.probabilities(ids, BOUNDARY)
    backwards = model.probabilities(ids[::-1], BOUNDARY)
    for one, other in zip(forwards, backwards[::-1], strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_text_of_nothing_is_the_boundary_alone() -> None:
    model = classifier()
    found = model.probabilities([[], [3, 4, 5]], BOUNDARY)
    assert found[0] == pytest.approx(alone(model, []), abs=1e-6)
    assert found[1] == pytest.approx(alone(model, [3, 4, 5]), abs=1e-6)
