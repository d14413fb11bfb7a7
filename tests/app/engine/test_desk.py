"""Many questions on one engine: answers in order, slots full, nothing left behind."""

import threading

import pytest

from app.engine import desk as desk_module
from app.local import LocalModel
from app.local.writing import WritingOptions
from models.native.sequence import SamplingParams

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


def finished(call) -> bool:
    """Whether a call comes back; where it does not, its thread is left to itself."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive()


def test_texts_may_be_written_by_the_model_that_measures_them(model) -> None:
    written = [model.generate(prompt, SamplingParams(max_tokens=5)) for prompt in ("The", "A")]
    found = []

    def ask() -> None:
        texts = (model.generate(prompt, SamplingParams(max_tokens=5)) for prompt in ("The", "A"))
        found.extend(score.log_likelihood for score in model.score_all(texts))

    assert finished(ask)
    assert found == [model.score(text).log_likelihood for text in written]


def test_a_text_that_is_being_written_may_be_asked_about(model) -> None:
    heard = []
    options = WritingOptions(
        SamplingParams(max_tokens=5, ignore_eos=True),
        on_text=lambda text: heard.append(model.score(text)),
    )
    assert finished(lambda: list(model.generate_all(["The"], options)))
    assert heard


def test_who_waits_for_a_text_keeps_no_other_thread_waiting(model) -> None:
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def texts():
        is_waiting.set()
        may_go_on.wait(60)
        yield "The dog"

    found = []
    slow = threading.Thread(target=lambda: found.extend(model.score_all(texts())), daemon=True)
    slow.start()
    assert is_waiting.wait(30)
    assert finished(lambda: model.score("The old cat"))
    may_go_on.set()
    slow.join(30)
    assert found == list(model.score_all(["The dog"]))


def test_an_error_while_a_text_is_told_leaves_no_slot_taken(model) -> None:
    def refuse(text: str) -> None:
        raise ValueError(text)

    options = WritingOptions(SamplingParams(max_tokens=50, ignore_eos=True), on_text=refuse)
    with pytest.raises(ValueError):
        list(model.generate_all(["The"], options))
    assert model._desk._engine.scheduler.num_taken == 0
    assert model._desk._engine.share_of_slots == 0


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
