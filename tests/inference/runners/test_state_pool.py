"""Slots of recurrent state: each is read and written alone, and one more row fills up tiles."""

import pytest
import torch
from torch import Tensor

from refrain.inference.runners.state_pool import StatePool
from refrain.models.state import RecurrentState
from tests.support.engines import counted, recurrent

MODELS = [
    pytest.param(recurrent, id="lstm"),
    pytest.param(lambda: recurrent("gru"), id="gru"),
    pytest.param(counted, id="counts"),
]


def filled(state: RecurrentState) -> RecurrentState:
    """A state of the same shape whose row n holds n + 1 everywhere."""
    layers: list[Tensor] = []
    for layer in state.layers:
        rows = torch.arange(1, state.num_rows + 1, dtype=layer.dtype)
        layers.append(rows[None, :, None].expand_as(layer).clone())
    return RecurrentState(tuple(layers))


def equal(one: RecurrentState, other: RecurrentState) -> bool:
    return all(map(torch.equal, one.layers, other.layers))


@pytest.mark.parametrize("make_model", MODELS)
def test_what_is_written_to_slots_is_read_from_them_in_any_order(make_model) -> None:
    model = make_model()
    pool = StatePool(model, 4)
    state = filled(model.zero_state(3))
    pool.write(torch.tensor([3, 0, 2]), state)
    assert equal(pool.read(torch.tensor([2, 3, 0])), state.gather(torch.tensor([2, 0, 1])))


@pytest.mark.parametrize("make_model", MODELS)
def test_a_slot_that_was_not_written_has_read_nothing(make_model) -> None:
    model = make_model()
    pool = StatePool(model, 4)
    pool.write(torch.tensor([0, 2]), filled(model.zero_state(2)))
    assert equal(pool.read(torch.tensor([1, 3])), model.zero_state(2))


@pytest.mark.parametrize("make_model", MODELS)
def test_a_cleared_slot_has_read_nothing_and_the_others_stay(make_model) -> None:
    model = make_model()
    pool = StatePool(model, 3)
    state = filled(model.zero_state(3))
    pool.write(torch.tensor([0, 1, 2]), state)
    pool.clear([0, 2])
    assert equal(pool.read(torch.tensor([0, 2])), model.zero_state(2))
    assert equal(pool.read(torch.tensor([1])), state.gather(torch.tensor([1])))


def test_what_was_read_is_a_copy() -> None:
    model = recurrent()
    pool = StatePool(model, 2)
    before = pool.read(torch.tensor([1]))
    pool.write(torch.tensor([1]), filled(model.zero_state(1)))
    assert equal(before, model.zero_state(1))


def test_there_is_one_row_more_than_slots_to_fill_up_tiles() -> None:
    model = recurrent()
    pool = StatePool(model, 4)
    assert pool.spare == 4
    pool.write(torch.tensor([pool.spare]), filled(model.zero_state(1)))
    assert equal(pool.read(torch.tensor([0, 1, 2, 3])), model.zero_state(4))
