"""A classifier in one's own process."""

import pytest
import torch

from refrain.inference.errors import WrongTaskError
from refrain.inference.local import LocalClassifier
from refrain.inference.local import classifier as local_classifier
from refrain.models.errors import CheckpointError

REVIEWS = [f"The old cat {'sat ' * n}on a lovely mat, and the dog saw it." for n in range(40)]


@pytest.fixture(scope="module")
def sentiment(checkpoints) -> LocalClassifier:
    """The classifier of English words."""
    return LocalClassifier(checkpoints / "sentiment-en")


def test_a_text_is_judged_as_the_network_itself_does(sentiment) -> None:
    checkpoint = sentiment.checkpoint
    for text in (REVIEWS[0], REVIEWS[7], "zebra"):
        ids = [checkpoint.tokenizer.eos_id, *checkpoint.tokenizer.encode(text).ids]
        with torch.no_grad():
            logits = checkpoint.model(torch.tensor([ids]), torch.tensor([len(ids)]))
        expected = logits[0].softmax(0).tolist()
        found = sentiment.classify(text)
        assert [*found.probabilities.values()] == pytest.approx(expected, abs=1e-5)
        assert [*found.probabilities] == ["negative", "neutral", "positive"]
        assert found.probabilities[found.label] == max(found.probabilities.values())
        assert found.stars == pytest.approx(5 * (expected[1] / 2 + expected[2]), abs=1e-4)
        assert found.model == "sentiment-en"


def test_a_text_of_no_tokens_is_judged_too(sentiment) -> None:
    assert sum(sentiment.classify("").probabilities.values()) == pytest.approx(1)


def test_many_texts_are_judged_in_their_order_batch_by_batch(sentiment, monkeypatch) -> None:
    found = [*sentiment.classify_all(REVIEWS)]
    assert len(found) == 40
    monkeypatch.setattr(local_classifier, "MAX_BATCH", 7)
    for whole, cut in zip(found, sentiment.classify_all(REVIEWS), strict=True):
        assert cut.label == whole.label
        assert cut.probabilities == pytest.approx(whole.probabilities, abs=1e-6)
    assert found[3].probabilities == pytest.approx(
        sentiment.classify(REVIEWS[3]).probabilities, abs=1e-6
    )


def test_no_more_texts_are_taken_than_the_batches_that_were_asked_for(
    sentiment, monkeypatch
) -> None:
    monkeypatch.setattr(local_classifier, "MAX_BATCH", 3)
    texts = iter(REVIEWS)
    found = sentiment.classify_all(texts)
    next(found)
    assert next(texts) == REVIEWS[3]
    assert [*sentiment.classify_all([])] == []


def test_what_is_no_classifier_is_refused(checkpoints, tmp_path) -> None:
    with pytest.raises(WrongTaskError, match="no classifier") as refused:
        LocalClassifier(checkpoints / "english")
    assert refused.value.param == "model"
    with pytest.raises(CheckpointError, match=r"config\.json"):
        LocalClassifier(tmp_path)
