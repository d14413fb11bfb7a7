"""One rectangle of steps, from slots to slots, against the model itself."""

import pytest
import torch

from refrain.inference.runners.state_pool import StatePool
from refrain.inference.runners.torch_step import make_step
from tests.support.engines import VOCABULARY, counted, recurrent

MODELS = [
    pytest.param(recurrent, id="lstm"),
    pytest.param(lambda: recurrent("jordan"), id="jordan"),
    pytest.param(counted, id="counts"),
]


def tokens(num_rows: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_rows + width)
    return torch.randint(2, VOCABULARY, (num_rows, width), generator=generator)


def test_on_a_processor_steps_are_not_captured() -> None:
    model = recurrent()
    pool = StatePool(model, 4)
    assert make_step(pool, 2, 1) == pool.step


@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("make_model", MODELS)
@torch.inference_mode()
def test_a_step_reads_what_the_model_reads_and_keeps_the_state_in_its_slots(
    make_model, width
) -> None:
    model = make_model()
    pool = StatePool(model, 4)
    step = make_step(pool, 3, width)
    first_RT, second_RT, slots_R = tokens(3, width), tokens(3, width) % 7 + 2, [2, 0, 3]
    step(first_RT, torch.tensor(slots_R))
    found_RTF = step(second_RT, torch.tensor(slots_R))
    expected_RTF, state = model.read(torch.cat([first_RT, second_RT], 1), model.zero_state(3))
    torch.testing.assert_close(found_RTF, expected_RTF[:, width:])
    for found, expected in zip(pool.read(torch.tensor(slots_R)).layers, state.layers, strict=True):
        torch.testing.assert_close(found, expected)


@torch.inference_mode()
def test_a_step_leaves_the_slots_of_others_as_they_are() -> None:
    model = recurrent()
    pool = StatePool(model, 3)
    step = make_step(pool, 2, 4)
    step(tokens(2, 4), torch.tensor([0, 1]))
    before = pool.read(torch.tensor([0])).to_bytes()
    step(tokens(2, 4), torch.tensor([1, pool.spare]))
    assert pool.read(torch.tensor([0])).to_bytes() == before
    assert pool.read(torch.tensor([2])).to_bytes() == model.zero_state(1).to_bytes()


@torch.inference_mode()
def test_rows_may_change_their_places_from_step_to_step() -> None:
    model = recurrent()
    pools = [StatePool(model, 2), StatePool(model, 2)]
    tokens_RT = tokens(2, 1)
    orders = ([0, 1], [1, 0])
    for pool, order in zip(pools, orders, strict=True):
        step = make_step(pool, 2, 1)
        step(tokens_RT, torch.tensor([0, 1]))
        step(tokens_RT[order], torch.tensor([0, 1])[order])
    both = torch.tensor([0, 1])
    for one, other in zip(pools[0].read(both).layers, pools[1].read(both).layers, strict=True):
        torch.testing.assert_close(one, other)
