"""Many operations on one engine: answers in order, slots full, nothing left behind."""

import threading
from contextlib import closing

import pytest

from refrain.inference.drivers import blocking
from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request, TextState
from refrain.inference.errors import EngineFailureError, QueueFullError, RequestTooLargeError
from refrain.inference.local import LocalModel
from refrain.inference.operation import gather
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.scoring import score_ids
from refrain.models.errors import StateError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.fake_runner import BREAKING, LIMIT, FakeRunner, Gate, fake_engine, fake_log_probs
from tests.support.token_operations import ENDLESS, ids_of, predict, up_to, write

TEXTS = ["The old cat sat on the mat.", "", "A lovely day!", "The dog", "it " * 40] * 30


@pytest.fixture
def model(checkpoints) -> LocalModel:
    return LocalModel(checkpoints / "english", max_slots=4)


def test_answers_come_in_the_order_of_the_operations_and_equal_those_asked_alone(model) -> None:
    alone = {text: model.score(text).log_likelihood for text in set(TEXTS)}
    found = [score.log_likelihood for score in model.score_all(TEXTS)]
    assert found == [alone[text] for text in TEXTS]


def test_no_more_operations_are_taken_than_there_is_room_for(model, monkeypatch) -> None:
    monkeypatch.setattr(blocking, "MAX_AHEAD", 7)
    taken, furthest = 0, 0

    def texts():
        nonlocal taken
        for text in TEXTS:
            taken += 1
            yield text

    for answered, _ in enumerate(model.score_all(texts())):
        furthest = max(furthest, taken - answered)
    assert furthest == 7


def test_a_caller_without_room_is_asked_for_nothing_more(model) -> None:
    taken = []

    def texts():
        for text in TEXTS:
            taken.append(text)
            yield text

    scores = model.score_all(texts(), may_take=lambda: len(taken) - num_answered < 3)
    num_answered = 0
    for _ in scores:
        assert len(taken) - num_answered <= 3
        num_answered += 1
    assert num_answered == len(TEXTS)


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
    thread.join(LIMIT)
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
    params = GenerationParams(SamplingParams(max_tokens=5, ignore_eos=True), stream=True)

    def listen() -> None:
        heard.extend(model.score(delta.text) for delta in model.stream("The", params))

    assert finished(listen)
    assert len(heard) == 5


def test_who_waits_for_a_text_keeps_no_other_thread_waiting(model) -> None:
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def texts():
        is_waiting.set()
        may_go_on.wait(LIMIT)
        yield "The dog"

    found = []
    slow = threading.Thread(target=lambda: found.extend(model.score_all(texts())), daemon=True)
    slow.start()
    assert is_waiting.wait(LIMIT)
    assert finished(lambda: model.score("The old cat"))
    may_go_on.set()
    slow.join(LIMIT)
    assert found == list(model.score_all(["The dog"]))


def test_an_operation_that_breaks_leaves_no_slot_taken(model) -> None:
    def texts():
        yield from TEXTS
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(model.score_all(texts()))
    assert model.driver.engine.scheduler.num_taken == 0
    assert len(model.driver.engine.free_slots) == model.driver.engine.num_slots


def test_an_error_while_a_text_is_read_leaves_no_slot_taken(model) -> None:
    params = GenerationParams(SamplingParams(max_tokens=50, ignore_eos=True), stream=True)
    with pytest.raises(ValueError), closing(model.stream("The", params)) as deltas:
        for delta in deltas:
            raise ValueError(delta.text)
    assert model.driver.engine.scheduler.num_taken == 0
    assert len(model.driver.engine.free_slots) == model.driver.engine.num_slots


def test_whoever_stops_reading_a_stream_leaves_no_slot_taken(model) -> None:
    params = GenerationParams(SamplingParams(max_tokens=50, ignore_eos=True), stream=True, n=3)
    deltas = model.stream("The", params)
    assert next(deltas).text
    deltas.close()
    assert model.driver.engine.scheduler.num_taken == 0


def test_whoever_stops_listening_leaves_no_slot_taken(model) -> None:
    scores = model.score_all(TEXTS)
    next(scores)
    scores.close()
    assert model.driver.engine.scheduler.num_taken == 0


def test_several_threads_may_ask_at_once(model) -> None:
    expected = [score.log_likelihood for score in model.score_all(TEXTS)]
    found = {}

    def ask(name: int) -> None:
        found[name] = [score.log_likelihood for score in model.score_all(TEXTS)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert found == dict.fromkeys(range(3), expected)


def driver_of(config: EngineConfig | None = None, **options) -> BlockingDriver:
    """A driver of an engine whose runner is a fake one."""
    return BlockingDriver(fake_engine(config, **options))


def assert_nothing_is_left(driver: BlockingDriver) -> None:
    engine = driver.engine
    assert engine.scheduler.num_taken == 0
    assert sorted(engine.free_slots) == list(range(engine.num_slots))
    assert not driver._open


def listen(stream) -> tuple[list, object]:
    """Read a stream to its end; return its pieces and its answer."""
    deltas = []
    while True:
        try:
            deltas.append(next(stream))
        except StopIteration as end:
            return deltas, end.value


def test_an_operation_runs_to_its_answer() -> None:
    driver = driver_of()
    found = driver.run(score_ids([3, 4, 5]))
    expected = [fake_log_probs([1, 3, 4, 5][:n])[token] for n, token in ((1, 3), (2, 4), (3, 5))]
    assert found.logprobs == pytest.approx(expected, rel=1e-6)
    assert_nothing_is_left(driver)


def test_no_operations_have_no_answers() -> None:
    assert list(driver_of().run_all([])) == []


def test_an_answer_that_is_there_waits_for_no_step() -> None:
    def answer_at_once():
        return "at once"
        yield

    runner = FakeRunner()
    driver = BlockingDriver(Engine(runner, EngineConfig()))
    answers = driver.run_all([answer_at_once(), score_ids([3] * 9)])
    assert next(answers) == "at once"
    assert runner.num_rows == []
    assert len(next(answers).logprobs) == 9


def test_a_stream_is_the_whole_text_token_by_token_and_returns_the_answer() -> None:
    driver = driver_of()
    whole = driver.run(write([2], up_to(40), is_streamed=False))
    deltas, answer = listen(driver.stream(write([2], up_to(40))))
    assert answer == whole
    assert [ids_of([delta]) for delta in deltas] == [[token_id] for token_id in whole]
    assert_nothing_is_left(driver)


def test_streams_side_by_side_take_turns() -> None:
    driver = driver_of(EngineConfig(max_slots=2))
    operations = (write([2], up_to(9, seed), index=seed) for seed in range(2))
    deltas, answers = listen(driver.stream(gather(operations)))
    assert [delta.index for delta in deltas] == [0, 1] * 9
    assert answers == [ids_of(each for each in deltas if each.index == n) for n in range(2)]


def test_an_operation_that_breaks_half_way_ends_the_rest_and_frees_the_slots() -> None:
    def broken():
        yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)
        raise ValueError("broken")

    driver = driver_of()
    with pytest.raises(ValueError, match="broken"):
        driver.run(gather([write([3], ENDLESS), broken(), score_ids([4] * 10**6)]))
    assert_nothing_is_left(driver)
    with pytest.raises(ValueError, match="broken"):
        list(driver.run_all([predict([3]), score_ids([4] * 10**6), broken(), predict([3])]))
    assert_nothing_is_left(driver)
    with pytest.raises(ValueError, match="broken"):
        listen(driver.stream(broken()))
    assert_nothing_is_left(driver)


def test_an_operation_that_has_heard_enough_frees_the_slot_before_it_goes_on() -> None:
    def stop_early():
        yield Request(Purpose.GENERATE, [2], sampling=ENDLESS, is_streamed=True)
        return (yield from predict([3]))

    driver = driver_of(EngineConfig(max_slots=1, max_queue=0))
    assert driver.run(stop_early()).log_probs.shape == (30,)
    assert_nothing_is_left(driver)


def test_a_broken_step_ends_what_was_asked_and_the_next_is_answered() -> None:
    driver = driver_of(breaks_on=BREAKING)
    with pytest.raises(ValueError, match="token 29"):
        list(driver.run_all([score_ids([3] * 9), score_ids([3, BREAKING, 3]), predict([3])]))
    assert_nothing_is_left(driver)
    assert len(driver.run(score_ids([3] * 9)).logprobs) == 9


def test_a_broken_step_ends_what_others_wait_for_too() -> None:
    driver = driver_of(breaks_on=BREAKING)
    waiting = driver.stream(write([2], ENDLESS))
    next(waiting)
    with pytest.raises(ValueError, match="token 29"):
        driver.run(score_ids([3, BREAKING, 3]))
    with pytest.raises(EngineFailureError, match="token 29"):
        listen(waiting)
    assert_nothing_is_left(driver)
    assert len(driver.run(score_ids([3] * 9)).logprobs) == 9


def test_a_stream_that_is_forgotten_within_a_step_waits_for_no_lock() -> None:
    driver = driver_of()
    streaming = driver.stream(write([2], ENDLESS))
    next(streaming)
    with driver._lock:  # as where the collector closes it in the thread that holds the lock
        streaming.close()
    assert driver.engine.scheduler.num_taken == 1
    assert driver.run(predict([4])).log_probs.shape == (30,)
    assert_nothing_is_left(driver)


def test_what_the_engine_refuses_leaves_nothing_behind() -> None:
    driver = driver_of(EngineConfig(max_slots=1, max_queue=2))
    with pytest.raises(RequestTooLargeError):
        driver.run(gather(predict([3]) for _ in range(4)))
    with pytest.raises(StateError):
        driver.run(gather([predict([3]), score_ids([3], TextState(b"short", 4, (2,)))]))
    assert_nothing_is_left(driver)


def test_what_has_begun_is_not_refused_half_way_for_a_full_queue() -> None:
    def go_on():
        first = yield from score_ids([3, 4, 3])
        both = yield from gather(score_ids([4, 5]) for _ in range(5))
        return len(first.logprobs) + sum(len(each.logprobs) for each in both)

    driver = driver_of(EngineConfig(max_slots=2, max_queue=0))
    streaming = driver.stream(write([2], ENDLESS))
    next(streaming)
    assert driver.run(go_on()) == 3 + 5 * 2
    streaming.close()
    assert_nothing_is_left(driver)


def test_what_is_new_is_refused_where_there_is_no_room_for_all_of_it() -> None:
    driver = driver_of(EngineConfig(max_slots=2, max_queue=0))
    streaming = driver.stream(write([2], ENDLESS))
    next(streaming)
    with pytest.raises(QueueFullError):
        driver.run(gather(predict([4]) for _ in range(2)))
    assert driver.run(predict([4])).log_probs.shape == (30,)
    streaming.close()
    assert_nothing_is_left(driver)


def test_a_step_of_one_thread_brings_the_answers_of_another() -> None:
    gate = Gate()
    driver = driver_of(gate=gate)
    found = {}

    def ask(name: str, ids: list[int]) -> None:
        found[name] = driver.run(score_ids(ids)).logprobs

    first = threading.Thread(target=ask, args=("first", [gate.token_id, 3, 4]), daemon=True)
    second = threading.Thread(target=ask, args=("second", [3] * 200), daemon=True)
    first.start()
    assert gate.is_reached.wait(LIMIT)
    second.start()
    gate.open()
    for thread in (first, second):
        thread.join(LIMIT)
    assert found["first"] == driver.run(score_ids([gate.token_id, 3, 4])).logprobs
    assert found["second"] == driver.run(score_ids([3] * 200)).logprobs
    assert_nothing_is_left(driver)
