"""A stream is read in one lane."""

import numpy as np

from refrain.training.evaluation import reading
from refrain.training.evaluation.reading import read_texts
from tests.support.tiny_checkpoint import checkpoint, model_probs, stream


def test_a_stream_is_read_in_one_lane(monkeypatch) -> None:
    monkeypatch.setattr(reading, "WINDOW", 7)
    tiny = checkpoint()
    ids = stream("test", tiny.tokenizer)
    (text,) = read_texts(tiny.model, [ids[:-1]], tiny.tokenizer.eos_id)
    np.testing.assert_allclose(
        text.probs_T, model_probs(tiny.model, ids, tiny.tokenizer.eos_id), rtol=1e-5
    )
