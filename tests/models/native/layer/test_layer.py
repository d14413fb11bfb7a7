"""The compiled layer's refusals; its numbers are tested with the network that runs it."""

import ctypes
from types import SimpleNamespace

import pytest
import torch

from refrain.models.native.layer import layer as native
from refrain.models.native.layer.structures import LayerKind, LayerStruct


def test_scratch_that_cannot_be_had_is_an_error(monkeypatch) -> None:
    library = native.load_library()
    huge = LayerStruct(kind=LayerKind.ELMAN_TANH, times=1, hidden=2**59, gates=1)

    def without_memory(layer, num_rows, num_threads):
        return library.layer_forward(ctypes.byref(huge), 4, 2)

    starved = SimpleNamespace(layer_forward=without_memory, pack_matrix=library.pack_matrix)
    monkeypatch.setattr(native, "load_library", lambda: starved)
    weight, biases = torch.zeros(16, 16).bfloat16(), (torch.zeros(16), torch.zeros(16))
    products, state = torch.zeros(4, 1, 16).bfloat16(), torch.zeros(1, 4, 16)
    with pytest.raises(MemoryError, match="scratch"):
        native.layer_forward(LayerKind.ELMAN_TANH, products, biases, weight, state)
