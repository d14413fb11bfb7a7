"""An operation under way, sent results made by hand: what is asked, in which order, and who goes on with what."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.inference.drivers.execution import Execution
from refrain.inference.engine.request import Predicted, Request, Scored, Written
from refrain.inference.operation import MORE, Delta, gather
from refrain.models.native.step.structures import Purpose


class Engine:
    """Numbers what is submitted from 1 on, and remembers what is aborted; a sequence is its number here."""

    def __init__(self, *, answers_at_once: bool = False, is_full: bool = False) -> None:
        self.submitted: list[list[tuple[int, ...]]] = []
        self.were_admitted: list[bool] = []
        self.done: list[str] = []
        self.is_full = is_full
        self._answers_at_once = answers_at_once
        self._count = 0

    @property
    def aborted(self) -> list[str]:
        return [each for each in self.done if each.startswith("abort")]

    def submit(self, execution, requests) -> list[int]:
        self.submitted.append([tuple(request.token_ids) for request in requests])
        if self.is_full:
            raise ValueError("no room")
        self.were_admitted.append(execution.is_admitted)
        sequences = []
        for request in requests:
            self._count += 1
            self.done.append(f"submit {self._count}")
            sequences.append(self._count)
            if self._answers_at_once:
                execution.inbox.append((self._count, scored(*request.token_ids)))
        return sequences

    def abort(self, sequences) -> None:
        self.done += [f"abort {sequence}" for sequence in sequences]


def finished(operation, engine: Engine) -> Execution:
    """Run an operation whose requests are answered at once."""
    execution = Execution(engine, operation)
    while execution.inbox:
        execution.resume(*execution.inbox.popleft())
    return execution


def scored(*logprobs: float) -> Scored:
    return Scored(list(logprobs), [])


def written(*ids: int, reason=None) -> Written:
    return Written(list(ids), [0.0] * len(ids), [], reason)


def request(*ids: int, is_streamed: bool = False) -> Request:
    return Request(Purpose.GENERATE if is_streamed else Purpose.SCORE, ids, is_streamed=is_streamed)


def total(*ids: int):
    found = yield request(*ids)
    return sum(found.logprobs)


def write(index: int, num_wanted: int):
    """Hear so many results of a stream."""
    found = yield request(index, is_streamed=True)
    heard = 0
    while True:
        heard += 1
        yield Delta(index, str(found.token_ids), found.finish_reason)
        if found.finish_reason or heard == num_wanted:
            return heard
        found = yield MORE


def test_requests_of_all_parts_are_submitted_together_and_answers_come_in_order() -> None:
    engine = Engine()
    execution = Execution(engine, gather([total(1), gather([total(2), total(3)]), total(4)]))
    assert engine.submitted == [[(1,), (2,), (3,), (4,)]]
    for sequence, logprob in ((3, 30.0), (1, 10.0), (4, 40.0)):
        execution.resume(sequence, scored(logprob))
        assert not execution.is_done
    execution.resume(2, scored(20.0))
    assert execution.is_done
    assert execution.returned == [10.0, [20.0, 30.0], 40.0]
    assert not execution.waiting


def test_a_part_asks_again_as_soon_as_it_is_answered() -> None:
    def twice():
        first = yield from total(1)
        second = yield from total(2)
        return first, second

    engine = Engine()
    execution = Execution(engine, gather([twice(), total(9)]))
    execution.resume(1, scored(5.0))
    assert engine.submitted[-1] == [(2,)]
    execution.resume(3, scored(6.0))
    execution.resume(2, scored(7.0))
    assert execution.returned == [(5.0, 6.0), 7.0]


def test_parts_that_gather_in_their_turn_ask_together_with_the_others() -> None:
    def tree(depth: int):
        yield Delta(depth, "begins", None)
        if not depth:
            return (yield from total(7))
        found = yield from gather(tree(depth - 1) for _ in range(2))
        yield Delta(depth, "ends", None)
        return found

    engine = Engine()
    execution = Execution(engine, tree(3))
    assert [len(batch) for batch in engine.submitted] == [8]
    for sequence in range(8, 0, -1):
        execution.resume(sequence, scored(float(sequence)))
    assert execution.returned == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    begun = [delta.index for delta in execution.pieces if delta.text == "begins"]
    ended = [delta.index for delta in execution.pieces if delta.text == "ends"]
    assert begun == [3, 2, 1, 0, 0, 1, 0, 0, 2, 1, 0, 0, 1, 0, 0]
    assert ended == [1, 1, 2, 1, 1, 2, 3]


def test_what_is_gathered_after_what_was_gathered_waits_for_it() -> None:
    def stages():
        first = yield from gather([total(1), total(2)])
        second = yield from gather([total(3), total(4)])
        return first + second

    engine = Engine()
    execution = Execution(engine, stages())
    execution.resume(2, scored(2.0))
    assert engine.submitted == [[(1,), (2,)]]
    execution.resume(1, scored(1.0))
    assert engine.submitted == [[(1,), (2,)], [(3,), (4,)]]
    execution.resume(3, scored(3.0))
    execution.resume(4, scored(4.0))
    assert execution.returned == [1.0, 2.0, 3.0, 4.0]


TREES = st.recursive(st.integers(1, 9), lambda parts: st.lists(parts, max_size=4), max_leaves=12)


@settings(deadline=None)
@given(tree=TREES, seed=st.integers(0, 99))
def test_whatever_is_gathered_is_answered_in_its_order_whichever_result_comes_first(
    tree, seed
) -> None:
    """A number is a leaf that makes so many requests, one after the other."""

    def run(part):
        if isinstance(part, list):
            return (yield from gather(map(run, part)))
        found = 0.0
        for _ in range(part):
            found += yield from total(1)
        return int(found)

    engine = Engine()
    execution = Execution(engine, run(tree))
    pick = random.Random(seed)
    while execution.waiting:
        sequence = pick.choice(list(execution.waiting))
        execution.resume(sequence, scored(1.0))
    assert execution.returned == tree
    assert engine.aborted == []


def test_what_is_answered_at_once_goes_on_at_once() -> None:
    execution = finished(gather([total(1), total(2)]), Engine(answers_at_once=True))
    assert execution.returned == [1.0, 2.0]
    assert not execution.waiting


def test_thousands_of_requests_answered_at_once_are_no_deep_recursion() -> None:
    def count(number: int):
        found = 0.0
        for _ in range(number):
            found += yield from total(1)
        return found

    def nested(depth: int):
        if not depth:
            return (yield from total(1))
        return (yield from gather([nested(depth - 1), total(1)]))[:1]

    assert finished(count(5_000), Engine(answers_at_once=True)).returned == 5_000
    answer = finished(nested(2_000), Engine(answers_at_once=True)).returned
    for _ in range(2_000):
        (answer,) = answer
    assert answer == 1.0


def test_who_gathers_nothing_goes_on() -> None:
    def nothing():
        answers = yield from gather([])
        return answers, (yield from gather([gather([]), gather([gather([])])]))

    engine = Engine()
    assert Execution(engine, nothing()).returned == ([], [[], [[]]])
    assert engine.submitted == []


def test_who_asks_nothing_is_done_at_once_with_what_it_has_written() -> None:
    def speak():
        yield Delta(0, "one", None)
        yield Delta(0, "two", "stop")
        return "said"

    execution = Execution(Engine(), speak())
    assert execution.returned == "said"
    assert [delta.text for delta in execution.pieces] == ["one", "two"]


def test_deltas_come_in_the_order_of_their_results() -> None:
    engine = Engine()
    execution = Execution(engine, gather([write(0, 99), write(1, 99)]))
    for sequence in (2, 1, 1, 2):
        execution.resume(sequence, written(sequence))
    assert [delta.index for delta in execution.pieces] == [1, 0, 0, 1]
    for sequence in (1, 2):
        execution.resume(sequence, written(9, reason="length"))
    assert execution.returned == [3, 3]
    assert engine.aborted == []


def test_who_has_heard_enough_of_a_stream_has_it_aborted_and_hears_no_more() -> None:
    engine = Engine()
    execution = Execution(engine, gather([write(0, 2), write(1, 99)]))
    for _ in range(3):
        execution.resume(1, written(1))
    assert engine.aborted == ["abort 1"]
    assert len(execution.pieces) == 2
    assert list(execution.waiting) == [2]


def test_a_stream_is_aborted_before_what_comes_next_is_submitted() -> None:
    def stop_and_go_on():
        yield request(1, is_streamed=True)
        yield from total(2)

    engine = Engine()
    execution = Execution(engine, stop_and_go_on())
    execution.resume(1, written(5))
    assert engine.done == ["submit 1", "abort 1", "submit 2"]


def test_the_last_result_of_a_stream_is_no_reason_to_abort_it() -> None:
    engine = Engine()
    execution = Execution(engine, write(0, 99))
    execution.resume(1, written(5))
    execution.resume(1, written(reason="stop"))
    assert execution.returned == 2
    assert engine.aborted == []


def test_a_part_that_breaks_ends_the_whole_and_what_still_runs_is_aborted() -> None:
    def broken():
        yield request(1)
        raise ValueError("broken")

    closed = []

    def patient():
        try:
            yield request(2)
        finally:
            closed.append("patient")

    engine = Engine()
    execution = Execution(engine, gather([broken(), patient()]))
    with pytest.raises(ValueError, match="broken"):
        execution.resume(1, scored(1.0))
    execution.abort()
    assert engine.aborted == ["abort 2"]
    del execution
    assert closed == ["patient"]


def test_a_stream_whose_reader_breaks_still_runs_until_it_is_aborted() -> None:
    def broken():
        yield request(1, is_streamed=True)
        raise ValueError("broken")

    engine = Engine()
    execution = Execution(engine, gather([broken(), total(2)]))
    with pytest.raises(ValueError, match="broken"):
        execution.resume(1, written(5))
    assert engine.aborted == []
    execution.abort()
    assert sorted(engine.aborted) == ["abort 1", "abort 2"]


def test_a_part_that_breaks_before_anything_is_asked_has_nothing_submitted() -> None:
    def broken():
        raise ValueError("broken")
        yield

    engine = Engine()
    with pytest.raises(ValueError, match="broken"):
        Execution(engine, gather([total(1), broken(), total(2)]))
    assert engine.submitted == []


def test_a_refused_submission_is_one_of_all_requests() -> None:
    engine = Engine(is_full=True)
    with pytest.raises(ValueError, match="no room"):
        Execution(engine, gather([total(1), total(2)]))
    assert engine.submitted == [[(1,), (2,)]]


def test_a_refusal_half_way_leaves_running_what_is_aborted() -> None:
    def twice():
        yield from total(1)
        yield from total(2)

    engine = Engine()
    execution = Execution(engine, gather([twice(), total(3)]))
    engine.is_full = True
    with pytest.raises(ValueError, match="no room"):
        execution.resume(1, scored(1.0))
    execution.abort()
    assert engine.aborted == ["abort 2"]


def test_only_what_is_asked_first_may_find_no_room() -> None:
    def stages():
        yield from total(1)
        yield from total(2)
        return (yield from total(3))

    engine = Engine(answers_at_once=True)
    assert finished(stages(), engine).returned == 3.0
    assert engine.were_admitted == [False, True, True]


def test_what_is_aborted_ends_and_hears_no_more() -> None:
    closed = []

    def patient():
        try:
            yield from gather([total(1), total(2)])
        finally:
            closed.append("patient")

    engine = Engine()
    execution = Execution(engine, patient())
    execution.abort()
    assert engine.aborted == ["abort 1", "abort 2"]
    assert closed == ["patient"]
    execution.resume(1, scored(1.0))
    execution.abort()
    assert engine.aborted == ["abort 1", "abort 2"]
    assert not execution.is_done


@pytest.mark.parametrize("result", [Predicted(None, 2.5, []), scored(1.0), written(reason="stop")])
def test_what_has_one_result_is_over_with_it(result) -> None:
    def ask():
        return (yield request(1))

    engine = Engine()
    execution = Execution(engine, ask())
    execution.resume(1, result)
    assert execution.returned is result
    assert engine.aborted == []
