"""What every runner keeps to, those that run models and the one of the tests: slots, steps, and states that travel."""

import inspect
from collections.abc import Callable
from collections.abc import Sequence as Ids

import pytest

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request
from refrain.inference.engine.runner import Runner
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.inference.runners.precision import make_runner
from refrain.inference.runners.torch_runner import TorchRunner
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import Purpose, Status
from refrain.models.native.step.want import NOTHING, Want
from tests.support.engines import counted, recurrent
from tests.support.fake_runner import FakeRunner

BOUNDARY = 1
NUM_SLOTS = 4
CONFIG = EngineConfig(max_slots=NUM_SLOTS, row_tile=2, block_width=8)
MANY = 1_000
Make = Callable[[], Runner]


def runner_of(model, precision) -> Make:
    return lambda: make_runner(model, precision, CONFIG, eos_id=BOUNDARY)[1]


RUNNERS = {
    "lstm-int8": runner_of(recurrent(), "int8"),
    "elman-int8": runner_of(recurrent("elman"), "int8"),
    "lstm-fp32": runner_of(recurrent(), "fp32"),
    "gru-bf16": runner_of(recurrent("gru"), "bf16"),
    "counts": runner_of(counted(), "fp32"),
    "fake": FakeRunner,
}


@pytest.fixture(params=RUNNERS)
def runner(request) -> Runner:
    return RUNNERS[request.param]()


def put(
    runner: Runner,
    slot: int,
    ids: Ids[int],
    purpose: Purpose = Purpose.GENERATE,
    *,
    max_tokens: int = 0,
    packed: bytes | None = None,
    want: Want = NOTHING,
) -> Sequence:
    """Open a sequence in a slot: these tokens alone, without a boundary before them."""
    sampling = SamplingParams(seed=3, max_tokens=max_tokens, ignore_eos=True)
    native = NativeSequence(purpose, ids, runner.shape, sampling=sampling, want=want)
    sequence = Sequence(Request(purpose, ids, sampling=sampling, want=want), native)
    sequence.slot = slot
    runner.open(sequence, packed)
    return sequence


def predict(runner: Runner, slot: int, ids: Ids[int], packed: bytes | None = None) -> list[float]:
    """What comes after tokens that are read from a state on."""
    sequence = put(runner, slot, ids, Purpose.PREDICT, packed=packed)
    runner.run([sequence], MANY)
    assert sequence.native.status is Status.ANSWERED
    return sequence.native.log_probs.tolist()


@pytest.mark.parametrize("kind", [Int8Runner, TorchRunner, FakeRunner])
def test_a_runner_has_what_the_protocol_names_with_the_same_parameters(kind) -> None:
    methods = {
        name: m for name, m in vars(Runner).items() if inspect.isfunction(m) and name[0] != "_"
    }
    assert set(methods) == {"open", "run", "fork", "pack"}
    for name, method in methods.items():
        expected = inspect.signature(method).parameters
        assert list(inspect.signature(getattr(kind, name)).parameters) == list(expected)


def test_a_runner_has_the_attributes_that_the_protocol_names(runner) -> None:
    assert {name for name in Runner.__annotations__ if hasattr(runner, name)} == {
        "interrupt",
        "shape",
        "is_quick",
    }
    assert runner.interrupt.value == 0
    assert runner.shape.eos_id == BOUNDARY


def test_a_slot_that_is_opened_again_has_read_nothing(runner) -> None:
    empty = runner.pack(put(runner, 0, [5]))
    used = put(runner, 1, [5, 6, 7])
    runner.run([used], MANY)
    assert runner.pack(used) != empty
    assert runner.pack(put(runner, 1, [5])) == empty


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 40])
def test_a_state_is_of_one_length_whatever_was_read(runner, length) -> None:
    sequence = put(runner, 0, [5 + n % 20 for n in range(length)])
    runner.run([sequence], MANY)
    assert sequence.native.status is Status.FULL
    assert len(runner.pack(sequence)) == runner.shape.state_bytes


@pytest.mark.parametrize("length", [1, 2, 12])
@pytest.mark.parametrize("make", RUNNERS.values(), ids=RUNNERS)
def test_a_state_goes_on_in_another_slot_and_another_runner(make, length) -> None:
    first, ids = make(), [5 + n % 20 for n in range(length)]
    read = put(first, 0, ids)
    first.run([read], MANY)
    packed = first.pack(read)
    assert first.pack(put(first, 2, [9], packed=packed)) == packed
    expected = predict(make(), 0, [*ids, 9, 8])
    assert predict(first, 3, [9, 8], packed) == expected
    assert predict(make(), 1, [9, 8], packed) == expected


@pytest.mark.parametrize("num_steps", [3, 4])
def test_a_forked_state_is_the_same_and_each_goes_its_own_way(runner, num_steps) -> None:
    source = put(runner, 0, [5, 6, 7], max_tokens=9)
    runner.run([source], num_steps)
    target = put(runner, 2, [5, 6, 7], max_tokens=9)
    runner.fork(source, target)
    forked = runner.pack(source)
    assert runner.pack(target) == forked
    target.native.copy_text(source.native)
    runner.run([target], 2)
    assert runner.pack(source) == forked
    assert runner.pack(target) != forked
    runner.run([source], 2)
    assert runner.pack(source) == runner.pack(target)


def test_every_step_advances_everybody_by_a_token(runner) -> None:
    texts = [put(runner, slot, [5 + slot], max_tokens=50) for slot in range(NUM_SLOTS)]
    for num_steps in (1, 2, 5):
        before = texts[0].native.struct.num_read
        assert runner.run(texts, num_steps) == num_steps
        assert {text.native.struct.num_read for text in texts} == {before + num_steps}
    assert {text.native.struct.num_found for text in texts} == {8}


def test_steps_end_as_soon_as_anybody_is_done(runner) -> None:
    long, short = put(runner, 0, [5], max_tokens=50), put(runner, 1, [6], max_tokens=3)
    assert runner.run([long, short], MANY) == 3
    assert (long.is_running, short.native.status) == (True, Status.FULL)
    assert runner.run([long], MANY) == 47


def test_steps_end_at_a_mark(runner) -> None:
    marked, other = put(runner, 0, range(5, 12)), put(runner, 1, [5], max_tokens=50)
    marked.native.struct.mark = 4
    assert runner.run([marked, other], MANY) == 4
    assert marked.native.struct.num_read == other.native.struct.num_read == 4
    assert runner.pack(marked) == runner.pack(_read(runner, 2, [5, 6, 7, 8]))
    assert marked.is_running


def _read(runner: Runner, slot: int, ids: Ids[int]) -> Sequence:
    sequence = put(runner, slot, ids)
    runner.run([sequence], MANY)
    return sequence


def test_an_interrupt_ends_a_run_after_its_step_until_it_is_taken_back(runner) -> None:
    text = put(runner, 0, [5], max_tokens=50)
    runner.interrupt.value = 1
    assert runner.run([text], MANY) == 1
    assert runner.run([text], MANY) == 1
    runner.interrupt.value = 0
    assert runner.run([text], 10) == 10


@pytest.mark.parametrize("seed", range(3))
def test_who_else_steps_changes_nothing(runner, seed) -> None:
    ids = [[5 + (7 * seed + slot + n) % 20 for n in range(2 + 3 * slot)] for slot in range(3)]
    alone = [predict(runner, slot, each) for slot, each in enumerate(ids)]
    texts = [put(runner, slot, each, Purpose.PREDICT) for slot, each in enumerate(ids)]
    while running := [text for text in texts if text.is_running]:
        runner.run(running[::-1], MANY)
    assert [text.native.log_probs.tolist() for text in texts] == alone


def test_a_score_is_of_every_token_after_the_first_and_leaves_the_last_unread(runner) -> None:
    ids = [BOUNDARY, 5, 6, 7]
    score = put(runner, 0, ids, Purpose.SCORE)
    runner.run([score], MANY)
    expected = [predict(runner, 1, ids[:n])[ids[n]] for n in (1, 2, 3)]
    assert score.native.logprobs.tolist() == pytest.approx(expected, abs=1e-5)
    assert score.native.unread == [7]
