"""Many questions on one engine: answers in order, slots full, nothing left behind."""

import threading

import pytest

from app.engine import desk as desk_module
from app.local import LocalModel

TEXTS = ["The old cat sat on the mat.", "", "A lovely day!", "The dog", "it " * 40] * 30


@pytest.fixture
def model(checkpoints) -> LocalModel:
    return LocalModel(checkpoints / "english", max_slots=4)


def test_answers_come_in_the_order_of_the_questions_and_equal_those_asked_alone(model) -> None:
    alone = {text: model.score(text).log_likelihood for text in set(TEXTS)}
    found = [score.log_likelihood for score in model.score_all(TEXTS)]
    assert found == [alone[text] for text in TEXTS]


def test_no_more_questions_are_taken_than_there_is_room_for(model, monkeypatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_AHEAD", 7)
    taken, furthest = 0, 0

    def texts():
        nonlocal taken
        for text in TEXTS:
            taken += 1
            yield text

    for told, _ in enumerate(model.score_all(texts())):
        furthest = max(furthest, taken - told)
    assert furthest == 7


def test_a_caller_without_room_is_asked_for_nothing_more(model) -> None:
    taken = []

    def texts():
        for text in TEXTS:
            taken.append(text)
            yield text

    scores = model.score_all(texts(), may_take=lambda: len(taken) - told < 3)
    told = 0
    for _ in scores:
        assert len(taken) - told <= 3
        told += 1
    assert told == len(TEXTS)


def test_a_long_text_does_not_keep_others_waiting_for_a_slot(model) -> None:
    taken = []

    def texts():
        for text in ["cat " * 3_000, *TEXTS]:
            taken.append(text)
            yield text

    scores = model.score_all(texts())
    assert next(scores).num_tokens > 3_000
    assert len(taken) == len(TEXTS) + 1  # they were served while the long one was read


def test_a_text_may_be_asked_about_while_others_are_answered(model) -> None:
    whole = model.score("The dog").log_likelihood
    for count, _ in enumerate(model.score_all(TEXTS)):
        if count % 40 == 0:
            assert model.score("The dog").log_likelihood == whole


def test_whoever_stops_listening_leaves_no_slot_taken(model) -> None:
    scores = model.score_all(TEXTS)
    next(scores)
    scores.close()
    assert model._desk._engine.scheduler.num_taken == 0


def test_several_threads_may_ask_at_once(model) -> None:
    expected = [score.log_likelihood for score in model.score_all(TEXTS)]
    found = {}

    def ask(name: int) -> None:
        found[name] = [score.log_likelihood for score in model.score_all(TEXTS)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == dict.fromkeys(range(3), expected)
