"""The memory of rows: gathering, scattering, clearing, packing."""

import pytest
import torch

from refrain.models.errors import StateError
from refrain.models.state import LayerShape, RecurrentState

SHAPES = (LayerShape(2, 4), LayerShape(1, 3, torch.int64))


def numbered(num_rows: int) -> RecurrentState:
    state = RecurrentState.zeros(SHAPES, num_rows)
    for layer in state.layers:
        layer.copy_(torch.arange(layer.numel()).view(layer.shape))
    return state


def test_gathered_rows_scattered_elsewhere_arrive_whole() -> None:
    source, target = numbered(5), RecurrentState.zeros(SHAPES, 7)
    target.scatter(torch.tensor([6, 0]), source.gather(torch.tensor([1, 4])))
    for old, new in zip(source.layers, target.layers, strict=True):
        assert torch.equal(new[:, 6], old[:, 1])
        assert torch.equal(new[:, 0], old[:, 4])
        assert new[:, 1:6].count_nonzero() == 0


def test_a_gathered_row_is_a_copy() -> None:
    source = numbered(2)
    row = source.gather(torch.tensor([1]))
    source.layers[0].zero_()
    assert row.layers[0].count_nonzero() > 0


def test_cleared_rows_have_read_nothing_and_others_stay() -> None:
    state = numbered(3)
    cleared = state.clear(torch.tensor([False, True, False]))
    assert cleared.layers[0][:, 1].count_nonzero() == 0
    assert torch.equal(cleared.layers[1][:, 2], state.layers[1][:, 2])


def test_a_packed_state_unpacks_to_the_same_bits() -> None:
    state = RecurrentState((torch.randn(2, 3, 4), torch.randint(9, (1, 3, 3))))
    unpacked = RecurrentState.from_bytes(state.to_bytes(), SHAPES, num_rows=3)
    for before, after in zip(state.layers, unpacked.layers, strict=True):
        assert torch.equal(before, after)


def test_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(StateError, match="has 56 bytes, not 3"):
        RecurrentState.from_bytes(b"abc", SHAPES)
