"""Texts that grow: what was read is not read again, and what was typed may be cut anywhere."""

from dataclasses import replace

import numpy as np
import pytest

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Predicted, Request, Scored
from refrain.inference.loading import load_engine
from refrain.inference.operations import session
from refrain.inference.operations.next_token import NextQuery, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.session import GrowingText, append
from refrain.models.checkpoint import load_checkpoint
from refrain.models.native.step.structures import Purpose
from refrain.models.neural_cache import NeuralCache, NeuralCacheConfig
from refrain.models.text.text_borders import split_tail
from tests.support.by_hand import read_state, replies, run_by_hand, state, text_model
from tests.support.checkpoints import CHINESE

MODEL = text_model()
WORDS = MODEL.tokenizer
SIZE = MODEL.shape.hidden_size
TEXT = "The old cat sat on the mat. The dog didn't sit"


def new_cache() -> NeuralCache:
    return NeuralCache(NeuralCacheConfig(weight=0.3, window=50), SIZE)


def remembered(cache: NeuralCache) -> tuple[list[int], bytes, float]:
    """All that a cache holds."""
    view = cache.view()
    count = view.num_entries
    return view.values[:count].tolist(), view.keys[:count].tobytes(), cache.trust


def by_token(request: Request) -> Scored:
    """Score tokens: the hidden state before each tells which it is, and the cache knows the small ones."""
    ids = [*request.token_ids]
    hidden = np.array([[token_id] * SIZE for token_id in ids], np.uint8)
    cache_probs = np.array([0.5 if token_id < 9 else 0.0 for token_id in ids], np.float32)
    position = (request.start.position if request.start else 0) + len(ids)
    logprobs = [-1.0] * len(ids)
    return Scored(logprobs, [], state=state(position), hidden=hidden, cache_probs=cache_probs)


def test_settled_tokens_are_read_from_where_the_text_stands() -> None:
    text = GrowingText(state(4), " c", 7)
    heard = run_by_hand(append(text, [5, 6], " sa"), replies(read_state(9)))
    assert heard.requests == [Request.read([5, 6], state(4))]
    assert heard.answer == GrowingText(state(9), " sa", 9)


def test_letters_alone_read_nothing() -> None:
    text = GrowingText(state(4), " c", 7)
    heard = run_by_hand(append(text, [], " ca"), replies())
    assert heard.requests == []
    assert heard.answer == replace(text, tail=" ca")


def test_an_adaptive_text_remembers_what_it_reads_with_the_state_before_each() -> None:
    text = GrowingText(state(4), "", 4, new_cache())
    heard = run_by_hand(append(text, [5, 6, 30], " sa"), by_token)
    (request,) = heard.requests
    assert (request.purpose, [*request.token_ids]) == (Purpose.SCORE, [5, 6, 30])
    assert request.start == state(4)
    assert request.want.state
    assert request.cache is not None
    assert (heard.answer.state, heard.answer.num_tokens) == (state(7), 7)
    values, keys, trust = remembered(heard.answer.cache)
    assert values == [5, 6, 30]
    assert keys == bytes(token_id for token_id in (5, 6, 30) for _ in range(SIZE))
    assert trust != 0.5


def test_a_long_adaptive_text_is_read_in_pieces_to_the_same_end(monkeypatch) -> None:
    ids = [n % 40 for n in range(30)]
    whole = run_by_hand(append(GrowingText(cache=new_cache()), ids, ""), by_token)
    monkeypatch.setattr(session, "REMEMBERED_AT_ONCE", 7)
    heard = run_by_hand(append(GrowingText(cache=new_cache()), ids, ""), by_token)
    assert [len(each.token_ids) for each in heard.requests] == [7, 7, 7, 7, 2]
    entries = [each.cache.num_entries for each in heard.requests]
    assert entries == [0, 7, 14, 21, 28]
    assert heard.answer.state == whole.answer.state == state(30)
    assert remembered(heard.answer.cache) == remembered(whole.answer.cache)


def test_who_leaves_half_way_leaves_the_text_as_it_was(monkeypatch) -> None:
    monkeypatch.setattr(session, "REMEMBERED_AT_ONCE", 7)
    text = run_by_hand(append(GrowingText(cache=new_cache()), [5, 6], ""), by_token).answer
    before = remembered(text.cache)
    operation = append(text, [*range(20)], "")
    request = next(operation)
    for _ in range(2):
        request = operation.send(by_token(request))
    operation.close()
    assert remembered(text.cache) == before
    assert text.num_tokens == 2


def test_a_fork_goes_on_by_itself() -> None:
    text = run_by_hand(append(GrowingText(cache=new_cache()), [5, 6], " c"), by_token).answer
    before, fork = remembered(text.cache), text.fork()
    assert remembered(fork.cache) == before
    run_by_hand(append(fork, [7, 8], ""), by_token)
    assert remembered(fork.cache)[0] == [5, 6, 7, 8]
    assert remembered(text.cache) == before
    assert (fork.state, fork.tail, fork.num_tokens) == (text.state, text.tail, 2)
    plain = GrowingText(state(4), " c", 7)
    assert plain.fork() == plain


@pytest.mark.parametrize("adapts", [False, True])
def test_what_follows_is_predicted_after_the_word_under_way_with_what_the_text_has_had(
    adapts,
) -> None:
    text = GrowingText(state(4), " cat", 4, new_cache() if adapts else None)
    tail = read_prompt(WORDS, text.tail, text.state)
    reply = replies(Predicted(None, 1.0, [(5, -0.5)]))
    heard = run_by_hand(predict_next(MODEL, tail, NextQuery(top_k=1), text.cache_view), reply)
    (request,) = heard.requests
    assert (request.token_ids, request.start) == (WORDS.encode(" cat").ids, state(4))
    assert (request.cache is not None) == adapts
    assert len(heard.answer.predictions) == 1


@pytest.mark.parametrize("name", ["english", "bytes", "tang", "counts"])
@pytest.mark.parametrize("length", [1, 3, 7, 100])
def test_a_text_typed_in_pieces_predicts_what_the_whole_text_does(
    checkpoints, name, length
) -> None:
    typed = CHINESE if name == "tang" else TEXT
    model, engine = load_engine(load_checkpoint(checkpoints / name), EngineConfig())
    driver, tokenizer, text = BlockingDriver(engine), model.tokenizer, GrowingText()
    query = NextQuery(top_k=100, candidates=["cat", "mat sat"])

    def predict(tail: str, text: GrowingText):
        prompt = read_prompt(tokenizer, tail, text.state)
        return driver.run(predict_next(model, prompt, query, text.cache_view))

    for first in range(0, len(typed), length):
        settled, tail = split_tail(tokenizer, text.tail + typed[first : first + length])
        text = driver.run(append(text, tokenizer.encode(settled).ids, tail))
        found, expected = predict(text.tail, text), predict(typed[: first + length], GrowingText())
        assert found.predictions == expected.predictions
        assert [each.logprob for each in found.candidates] == pytest.approx(
            [each.logprob for each in expected.candidates], abs=1e-5
        )
