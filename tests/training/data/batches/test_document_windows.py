"""Documents of a batch are of like length, and each comes once an epoch."""

import torch

from refrain.training.data.batches.document_windows import DocumentWindows
from refrain.training.data.batches.window import IGNORED


def test_documents_of_a_batch_are_of_like_length_and_come_once_an_epoch() -> None:
    documents = [[5] * (1 + n % 7) for n in range(40)]
    windows = DocumentWindows(documents, eos_id=1, batch_size=8, window=100, seed=1)
    lengths = [(w.targets_BT != IGNORED).sum(1) for w in windows.epoch(0)]
    assert sorted(torch.cat(lengths).tolist()) == sorted(len(d) + 1 for d in documents)
    assert all(batch.max() - batch.min() <= 2 for batch in lengths)
