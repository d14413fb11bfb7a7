"""Labelled batches hold every example once."""

from refrain.training.data.batches.labelled_batches import LabelledBatches


def test_labelled_batches_hold_every_example_once_with_its_label() -> None:
    texts = [[n] * (1 + n % 5) for n in range(30)]
    batches = LabelledBatches(texts, list(range(30)), batch_size=7, eos_id=1, max_length=4, seed=2)
    seen = []
    for batch in batches.epoch(0):
        assert (batch.tokens_BT[:, 0] == 1).all()
        assert (batch.tokens_BT[:, 1] == batch.labels_B).all()
        assert batch.lengths_B.max() <= 5
        seen += batch.labels_B.tolist()
    assert sorted(seen) == list(range(30))
