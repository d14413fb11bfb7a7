"""Documents through a model's integer form: the scores of each alone, in order, with every token reported once."""

import random

import numpy as np
import pytest
import torch

from refrain.inference.engine.request import Request
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.training.evaluation.scored_documents import score_documents
from tests.support.engines import BOUNDARY, VOCABULARY, engine_of, recurrent


def documents(*lengths: int) -> list[list[int]]:
    draw = random.Random(1)
    return [[draw.randrange(2, VOCABULARY) for _ in range(length)] for length in lengths]


def test_each_document_has_the_scores_that_it_has_alone() -> None:
    model, texts = recurrent(), documents(*range(0, 70, 3), 1, 500)
    engine = engine_of(model)
    found = list(score_documents(model, texts, BOUNDARY))
    assert len(found) == len(texts)
    for scored, ids in zip(found, texts, strict=True):
        alone = engine.answer(Request(Purpose.SCORE, [*ids, BOUNDARY]))[1]
        assert list(scored.logprobs) == alone.logprobs
        assert (list(scored.ranks), scored.hidden) == ([], None)


def test_scores_are_those_of_the_network_to_the_rounding_of_its_weights() -> None:
    model, (ids,) = recurrent(), documents(30)
    (scored,) = score_documents(model, [ids], BOUNDARY)
    with torch.inference_mode():
        logits_TV = model(torch.tensor([[BOUNDARY, *ids]]), model.zero_state(1))[0][0]
    log_probs_TV = logits_TV.log_softmax(1).numpy()
    expected_T = log_probs_TV[np.arange(31), [*ids, BOUNDARY]]
    assert np.abs(np.array(scored.logprobs) - expected_T).max() < 0.02


def test_hidden_states_are_reported_where_they_are_wanted() -> None:
    model, texts = recurrent(), documents(5, 0, 40)
    engine = engine_of(model)
    found = score_documents(model, texts, BOUNDARY, wants_hidden=True)
    for scored, ids in zip(found, texts, strict=True):
        request = Request(Purpose.SCORE, [*ids, BOUNDARY], want=Want(hidden=True))
        assert (scored.hidden == engine.answer(request)[1].hidden).all()
        assert len(scored.hidden) == len(ids) + 1


@pytest.mark.parametrize("num_documents", [1, 100, 400])
def test_every_token_and_every_end_is_reported_once(num_documents) -> None:
    texts = documents(*(n % 20 for n in range(num_documents)))
    reported: list[int] = []
    found = list(score_documents(recurrent(), texts, BOUNDARY, on_tokens=reported.append))
    assert sum(reported) == sum(len(ids) + 1 for ids in texts)
    assert [len(scored.logprobs) for scored in found] == [len(ids) + 1 for ids in texts]


def test_no_documents_have_no_scores() -> None:
    assert list(score_documents(recurrent(), [], BOUNDARY)) == []
