"""Slots of bytes: where they stand, what they hold, and many steps in one native call."""

import numpy as np
import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.int8_runner import ALIGNMENT, Int8Runner
from refrain.models.errors import StateError
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import Purpose
from tests.support.engines import BOUNDARY, VOCABULARY, engine_of, recurrent

CELLS = ("lstm", "gru", "elman")
WIDTHS = (40, 24)
"""Units of the two layers; the last is as wide as the embedding that its outputs are multiplied with."""


def runner_of(cell: str = "lstm", num_slots: int = 3) -> Int8Runner:
    model = Int8LanguageModel(recurrent(cell))
    return Int8Runner(model, EngineConfig(max_slots=num_slots), eos_id=BOUNDARY)


def put(
    runner: Int8Runner, slot: int, ids, max_tokens: int = 0, packed: bytes | None = None
) -> Sequence:
    sampling = SamplingParams(seed=3, max_tokens=max_tokens, ignore_eos=True)
    native = NativeSequence(Purpose.GENERATE, ids, runner.shape, sampling=sampling)
    sequence = Sequence(Request(Purpose.GENERATE, ids, sampling=sampling), native)
    sequence.slot = slot
    runner.open(sequence, packed)
    return sequence


@pytest.mark.parametrize(("cell", "bytes_a_unit"), [("lstm", 5), ("gru", 5), ("elman", 1)])
def test_a_state_is_a_byte_a_unit_and_four_more_where_a_float_is_carried(
    cell, bytes_a_unit
) -> None:
    runner = runner_of(cell)
    assert runner.shape.state_bytes == sum(WIDTHS) * bytes_a_unit
    assert (runner.shape.vocab_size, runner.shape.eos_id) == (VOCABULARY, BOUNDARY)
    assert runner.is_quick


@pytest.mark.parametrize("cell", CELLS)
def test_every_slot_stands_at_an_aligned_address_of_its_own(cell) -> None:
    runner = runner_of(cell, num_slots=5)
    addresses = [put(runner, slot, [5]).native.struct.slot for slot in range(5)]
    assert all(address % ALIGNMENT == 0 for address in addresses)
    assert len(set(addresses)) == 5


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_read", [1, 2, 3, 4])
def test_a_state_travels_after_any_number_of_tokens(cell, num_read) -> None:
    """Hidden states alternate between two places in a slot; a packed one stands at the first."""
    runner, ids = runner_of(cell), [5, 6, 7, 8, 9, 10]
    whole, first = put(runner, 0, ids), put(runner, 1, ids[:num_read])
    runner.run([whole], 100)
    runner.run([first], 100)
    rest = put(runner, 2, ids[num_read:], packed=runner.pack(first))
    assert runner.pack(rest) == runner.pack(first)
    runner.run([rest], 100)
    assert runner.pack(rest) == runner.pack(whole)


@pytest.mark.parametrize("num_bytes", [0, 319, 321])
def test_a_state_of_another_length_is_refused_and_the_slot_stays(num_bytes) -> None:
    runner = runner_of()
    sequence = put(runner, 0, [5, 6])
    runner.run([sequence], 100)
    before = runner.pack(sequence)
    assert len(before) == 320
    with pytest.raises(StateError, match=f"320 bytes, not {num_bytes}"):
        runner.open(sequence, bytes(num_bytes))
    assert runner.pack(sequence) == before


def test_whoever_steps_from_call_to_call_each_text_is_its_own() -> None:
    def text(runner: Int8Runner, slot: int) -> Sequence:
        return put(runner, slot, [BOUNDARY, 5 + slot], max_tokens=12)

    def written(sequence: Sequence) -> list[int]:
        return sequence.native.tokens[: sequence.native.struct.num_tokens].tolist()

    expected = []
    for slot in range(3):
        runner = runner_of()
        alone = text(runner, slot)
        runner.run([alone], 100)
        expected.append(written(alone))
    runner = runner_of()
    first, second, third = (text(runner, slot) for slot in range(3))
    for sequences in ([first], [first, second], [second, first], [third], [third, first, second]):
        runner.run(sequences, 2)
    for sequence in (first, second, third):
        while sequence.is_running:
            runner.run([sequence], 100)
    assert [written(each) for each in (first, second, third)] == expected


@torch.inference_mode()
@pytest.mark.parametrize("cell", CELLS)
def test_hidden_states_are_those_of_the_network_rounded_to_a_byte(cell) -> None:
    model, ids = recurrent(cell), [5, 6, 7, 8, 9]
    engine = engine_of(model)
    read = engine.answer(Request.read(ids, hidden=True))[1]
    expected_TF = model.read(torch.tensor([[BOUNDARY, *ids]]), model.zero_state(1))[0][0].numpy()
    assert read.hidden.shape == (6, engine.shape.hidden_size)
    found_TF = (read.hidden[:, : WIDTHS[-1]].astype(float) - 128) / 127
    assert np.abs(found_TF - expected_TF).max() < 0.02
    assert np.abs(expected_TF).max() > 0.1
