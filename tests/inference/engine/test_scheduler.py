"""Who gets a slot, and who is preempted: sequences that nobody runs, whose cursors are moved by hand."""

import pytest

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import BeamParams, Request
from refrain.inference.engine.scheduler import Scheduler
from refrain.inference.engine.sequence import MAX_UNSENT, Sequence
from refrain.inference.errors import QueueFullError, RequestTooLargeError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want

SHAPE = ModelShape(vocab_size=10, eos_id=1)
SAMPLING = SamplingParams(max_tokens=1_000)


def text(caller: str = "", *, is_streamed: bool = False) -> Sequence:
    """A text that writes for long."""
    request = Request(Purpose.GENERATE, [3], sampling=SAMPLING, is_streamed=is_streamed)
    return Sequence(request, NativeSequence(Purpose.GENERATE, [1, 3], SHAPE), caller)


def search(caller: str, num_beams: int) -> Sequence:
    request = Request(Purpose.BRANCH, [3], sampling=SAMPLING, beams=BeamParams(num_beams))
    native = NativeSequence(Purpose.BRANCH, [1, 3], SHAPE, want=Want(branches=2))
    root, *root.siblings = [Sequence(request, native, caller) for _ in range(num_beams)]
    return root


def left_by_its_reader(caller: str = "") -> Sequence:
    """A stream that is as far ahead of its reader as it may be."""
    stream = text(caller, is_streamed=True)
    stream.is_reader_ready = False
    stream.native.struct.num_found = MAX_UNSENT
    return stream


def scheduler(
    num_slots: int, max_queue: int = 100, time_slice: int = 10
) -> tuple[Scheduler, list[int]]:
    """A scheduler, and its free slots."""
    config = EngineConfig(max_slots=num_slots, max_queue=max_queue, time_slice=time_slice)
    return Scheduler(config), list(reversed(range(num_slots)))


def advance(scheduler: Scheduler, num_tokens: int) -> None:
    for sequence in scheduler.running:
        sequence.native.struct.num_read += num_tokens


def preempt(scheduler: Scheduler, free: list[int]) -> list[Sequence]:
    """Preempt as an engine does: the slots are free, and who is opened again has read nothing since."""
    preempted = scheduler.preempt(len(free))
    for sequence in preempted:
        free.append(sequence.slot)
        sequence.num_read_before = sequence.native.struct.num_read
    return preempted


def test_the_first_to_come_get_the_slots_each_another_one() -> None:
    queue, free = scheduler(3)
    texts = [text() for _ in range(5)]
    queue.add(texts)
    assert queue.admit(free) == queue.running == texts[:3]
    assert [each.slot for each in texts[:3]] == [0, 1, 2]
    assert (free, queue.num_waiting, queue.num_taken) == ([], 2, 5)


def test_callers_take_turns_each_with_its_longest_waiting_text() -> None:
    queue, free = scheduler(7)
    first = [text("a") for _ in range(4)]
    second = [text("b") for _ in range(2)]
    third = text("c")
    for texts in (first, second, [third]):
        queue.add(texts)
    a, b = iter(first), iter(second)
    order = [next(a), next(b), third, next(a), next(b), next(a), next(a)]
    assert queue.admit(free) == order


def test_a_caller_who_comes_back_stands_behind_those_who_wait() -> None:
    queue, free = scheduler(1)
    texts = {name: [text(name) for _ in range(2)] for name in "ab"}
    for each in texts.values():
        queue.add(each)
    order = []
    while queue.num_taken:
        (running,) = queue.admit(free)
        order.append(running)
        if len(order) == 2:
            texts["a"].append(text("a"))
            queue.add(texts["a"][2:])
        assert queue.remove(running)
        free.append(running.slot)
    (a1, a2, a3), (b1, b2) = texts.values()
    assert order == [a1, b1, a2, b2, a3]


def test_room_is_for_slots_and_queue_together() -> None:
    queue, free = scheduler(2, max_queue=3)
    queue.add([text() for _ in range(4)])
    with pytest.raises(QueueFullError, match="0 texts are being served and 4 wait"):
        queue.add([text() for _ in range(2)])
    assert (queue.num_waiting, queue.num_taken) == (4, 4)
    queue.admit(free)
    with pytest.raises(QueueFullError, match="2 texts are being served and 2 wait"):
        queue.check_room(2)
    queue.add([text()])
    with pytest.raises(QueueFullError):
        queue.check_room(1)
    queue.check_room(0)


def test_more_than_there_will_ever_be_room_for_is_another_error() -> None:
    queue, _ = scheduler(2, max_queue=3)
    queue.check_room(5)
    with pytest.raises(RequestTooLargeError, match="6 texts at once; there is room for 5"):
        queue.check_room(6)
    with pytest.raises(RequestTooLargeError):
        queue.add([text() for _ in range(6)])
    assert not queue.num_taken


def test_an_admitted_request_enters_a_full_queue_and_nobody_else_does() -> None:
    queue, free = scheduler(1, max_queue=1)
    queue.add([text("a"), text("b")])
    queue.add([text("c") for _ in range(3)], is_admitted=True)
    assert (queue.num_waiting, queue.num_taken) == (5, 5)
    with pytest.raises(QueueFullError):
        queue.add([text("d")])
    while queue.num_taken:
        (running,) = queue.admit(free)
        queue.remove(running)
        free.append(running.slot)
    assert queue.num_taken == 0
    queue.add([text("d"), text("d")])


def test_a_search_counts_for_its_hypotheses() -> None:
    queue, free = scheduler(4, max_queue=3)
    queue.add([search("a", 4), search("a", 3)])
    with pytest.raises(QueueFullError):
        queue.add([text()])
    (running,) = queue.admit(free)
    assert sorted(row.slot for row in (running, *running.siblings)) == [0, 1, 2, 3]
    assert free == []
    assert queue.remove(running)
    assert queue.num_taken == 3


@pytest.mark.parametrize("is_admitted", [False, True])
def test_a_search_that_needs_more_slots_than_there_are_is_refused(is_admitted) -> None:
    queue, _ = scheduler(4)
    with pytest.raises(RequestTooLargeError, match="a search of 5 hypotheses; there are 4 slots"):
        queue.add([text(), search("a", 5)], is_admitted=is_admitted)
    assert queue.num_taken == 0


def test_a_search_keeps_its_turn_until_there_are_slots_enough() -> None:
    queue, free = scheduler(3)
    first, second = text("a"), text("b")
    queue.add([first, second])
    queue.admit(free)
    wide, late = search("c", 3), text("d")
    queue.add([wide])
    queue.add([late])
    assert queue.admit(free) == []
    queue.remove(first)
    free.append(first.slot)
    assert queue.admit(free) == [], "two slots are free, and who comes later does not pass by"
    queue.remove(second)
    free.append(second.slot)
    assert queue.admit(free) == [wide]


def test_nobody_is_preempted_as_long_as_nobody_waits_or_slots_are_free() -> None:
    queue, free = scheduler(2, time_slice=1)
    queue.add([text("a"), text("a")])
    queue.admit(free)
    advance(queue, 100)
    assert queue.preempt(0) == []
    queue.add([text("b")])
    assert queue.preempt(1) == []
    assert len(queue.preempt(0)) == 1


def test_a_caller_is_not_preempted_for_itself() -> None:
    queue, free = scheduler(2, time_slice=1)
    queue.add([text("a") for _ in range(4)])
    queue.admit(free)
    advance(queue, 100)
    assert queue.preempt(0) == []


def test_a_time_slice_is_used_up_before_anybody_is_preempted() -> None:
    queue, free = scheduler(2, time_slice=10)
    queue.add([text("a"), text("a")])
    queue.add([text("b")])
    first, other = queue.admit(free)[0], queue.running[1]
    assert (first.caller, other.caller) == ("a", "b")
    queue.remove(other)
    free.append(other.slot)
    queue.admit(free)
    queue.add([text("c")])
    advance(queue, 9)
    assert preempt(queue, free) == []
    advance(queue, 1)
    assert len(preempt(queue, free)) == 1
    assert [each.caller for each in queue.admit(free)] == ["c"]


def test_the_greediest_is_preempted_and_of_its_texts_the_one_that_ran_longest() -> None:
    queue, free = scheduler(5, time_slice=10)
    greedy, modest = [text("greedy") for _ in range(3)], [text("modest") for _ in range(2)]
    queue.add(greedy)
    queue.add(modest)
    queue.admit(free)
    advance(queue, 10)
    greedy[1].native.struct.num_read += 3
    modest[0].native.struct.num_read += 50
    late = text("late")
    queue.add([late])
    assert preempt(queue, free) == [greedy[1]]
    assert queue.admit(free) == [late]
    assert queue.num_waiting == 1


def test_shares_become_even_and_then_stay() -> None:
    queue, free = scheduler(6, time_slice=10)
    queue.add([text("a") for _ in range(12)])
    queue.admit(free)
    queue.add([text("b") for _ in range(12)])
    queue.add([text("c") for _ in range(12)])
    for _ in range(20):
        advance(queue, 10)
        preempt(queue, free)
        queue.admit(free)
    held = [sum(each.caller == name for each in queue.running) for name in "abc"]
    assert held == [2, 2, 2]
    advance(queue, 10)
    assert preempt(queue, free) == []
    assert queue.num_taken == 36


def test_nobody_who_holds_one_slot_more_than_who_waits_is_preempted() -> None:
    queue, free = scheduler(1, time_slice=1)
    queue.add([text("a")])
    queue.admit(free)
    queue.add([text("b")])
    advance(queue, 100)
    assert queue.preempt(0) == [], "it would only change who waits"


def test_who_is_preempted_goes_on_when_its_caller_s_turn_comes() -> None:
    queue, free = scheduler(2, time_slice=5)
    first, second = text("a"), text("a")
    queue.add([first, second])
    queue.admit(free)
    advance(queue, 5)
    late = text("b")
    queue.add([late])
    (preempted,) = preempt(queue, free)
    assert queue.admit(free) == [late]
    queue.remove(late)
    free.append(late.slot)
    assert queue.admit(free) == [preempted]
    assert preempted.num_read_since == 0


def test_a_search_is_never_preempted() -> None:
    queue, free = scheduler(6, time_slice=5)
    queue.add([search("a", 2) for _ in range(3)])
    assert len(queue.admit(free)) == 3
    advance(queue, 1_000)
    queue.add([text("b")])
    assert queue.preempt(0) == []


def test_one_whose_reader_does_not_read_makes_room_before_its_time_slice_is_used() -> None:
    queue, free = scheduler(2, time_slice=1_000)
    ahead, reading = left_by_its_reader("a"), text("a", is_streamed=True)
    queue.add([ahead, reading])
    queue.admit(free)
    assert not queue.has_somebody_to_move
    late = text("a")
    queue.add([late])
    assert queue.has_somebody_to_move
    assert preempt(queue, free) == [ahead]
    assert queue.admit(free) == [late]
    assert queue.running == [reading, late]


def test_one_that_is_ahead_stays_out_until_its_reader_is_back() -> None:
    queue, free = scheduler(1)
    ahead, late = left_by_its_reader("a"), text("b")
    queue.add([ahead])
    queue.admit(free)
    queue.add([late])
    preempt(queue, free)
    queue.admit(free)
    queue.remove(late)
    free.append(late.slot)
    assert queue.admit(free) == []
    assert (queue.num_waiting, queue.num_taken) == (0, 1)
    assert not queue.has_somebody_to_move
    ahead.is_reader_ready = True
    assert queue.has_somebody_to_move
    assert queue.admit(free) == [ahead]
    assert not queue.has_somebody_to_move


def test_nobody_who_is_ahead_is_preempted_for_nothing() -> None:
    queue, free = scheduler(2)
    queue.add([left_by_its_reader()])
    queue.admit(free)
    assert queue.preempt(1) == []
    queue.add([text()])
    assert queue.preempt(1) == []


def test_removing_tells_who_held_a_slot() -> None:
    queue, free = scheduler(2)
    running, ahead, waiting, other = text("a"), left_by_its_reader("a"), text("a"), text("b")
    queue.add([running, ahead, waiting])
    queue.admit(free)
    queue.add([other])
    preempt(queue, free)
    assert queue.remove(running)
    assert not queue.remove(ahead)
    assert not queue.remove(waiting)
    assert queue.num_taken == 1
    assert queue.admit(free) == [other]
    assert queue.remove(other)
    assert (queue.num_waiting, queue.num_taken) == (0, 0)


def test_removing_twice_gives_no_place_twice() -> None:
    queue, free = scheduler(1, max_queue=1)
    first, second = text(), text()
    queue.add([first, second])
    queue.admit(free)
    for sequence in (first, second, first, second):
        queue.remove(sequence)
    assert (queue.num_waiting, queue.num_taken) == (0, 0)


def test_removing_a_caller_s_last_waiting_text_takes_the_caller_out_of_the_round() -> None:
    queue, free = scheduler(1)
    gone, next_one = text("a"), text("b")
    queue.add([gone])
    queue.add([next_one])
    queue.remove(gone)
    assert queue.admit(free) == [next_one]
    assert queue.num_waiting == 0
