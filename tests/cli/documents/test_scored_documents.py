"""Documents with their scores: how far they are read ahead, and in how much memory."""

import tracemalloc

from refrain.cli.documents import scored_documents
from refrain.cli.documents.document_file import Document
from refrain.cli.documents.scored_documents import scored
from refrain.inference.local import LocalModel


def test_a_very_long_document_takes_little_memory_and_keeps_others_going(checkpoints) -> None:
    model = LocalModel(checkpoints / "english")
    text = "The old cat sat on the mat." * 4_000
    short = Document(2, b"The dog\n", "The dog")
    taken = 0

    def documents():
        nonlocal taken
        yield Document(1, text.encode(), text)
        for _ in range(500):
            taken += 1
            yield short

    next(iter(model.score_all(["The dog"])))
    tracemalloc.start()
    found = scored(model, documents(), count_end=False)
    _, score = next(found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert score.num_tokens == 32_000
    assert score == next(model.score_all([text]))
    assert taken == 500
    assert peak < 60 * len(text)
    assert len({each.log_likelihood for _, each in found}) == 1


def test_documents_wait_only_as_far_as_memory_allows(checkpoints, monkeypatch) -> None:
    monkeypatch.setattr(scored_documents, "MAX_BYTES_AHEAD", 1_000)
    model = LocalModel(checkpoints / "english", max_slots=2)
    taken = 0

    def documents():
        nonlocal taken
        for number, text in enumerate(["The old cat. " * 400, *["A lovely day! " * 10] * 60]):
            taken += 1
            yield Document(number, text.encode(), text)

    found = scored(model, documents(), count_end=False)
    next(found)
    assert taken < 5
    assert sum(1 for _ in found) == 60
