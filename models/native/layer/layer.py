"""A recurrent layer over time, in bfloat16: what training runs on a processor.

Shapes: B rows, T times, H width of the layer, G gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import byref

import torch
from torch import Tensor

from refrain.models.native.layer.library import check_status, load_library
from refrain.models.native.layer.structures import LayerKind, LayerStruct

UNITS = 16
"""Layers must be a multiple of this wide: what one vector holds."""


def layer_forward(
    kind: LayerKind,
    input_products_BTG: Tensor,
    biases: tuple[Tensor, Tensor],
    weight_hh: Tensor,
    state_CBH: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Run a layer over time.

    Parameters
    ----------
    input_products_BTG
        The input's share of every gate, bfloat16 [B, T, G H].
    biases
        Of the input's and of the hidden products, float32 [G H] each.
    weight_hh
        bfloat16 [G H, H].
    state_CBH
        The state before, float32.

    Returns
    -------
    outputs, memory, kept
        The outputs with the one before them, bfloat16 [B, T + 1, H]; the memory likewise, float32; the gates after
        their nonlinearity, bfloat16 [B, T, 4 H]. The last two are for `layer_backward`, where the cell has them.
    """
    num_rows, num_times, _ = input_products_BTG.shape
    hidden_size = weight_hh.shape[1]
    outputs = input_products_BTG.new_empty(num_rows, num_times + 1, hidden_size)
    outputs[:, 0] = state_CBH[0]
    memory = kept = None
    if kind.has_memory:
        memory = torch.empty(outputs.shape, dtype=torch.float32)
        memory[:, 0] = state_CBH[-1]
        kept = input_products_BTG.new_empty(num_rows, num_times, 4 * hidden_size)
    tensors = {
        "input_products": input_products_BTG,
        "input_bias": biases[0],
        "hidden_bias": biases[1],
        "packed": _packed(weight_hh, transposed=True),
        "outputs": outputs,
        "memory": memory,
        "kept": kept,
    }
    layer = _layer(kind, num_times, hidden_size, tensors)
    check_status(load_library().layer_forward(byref(layer), num_rows, torch.get_num_threads()))
    return outputs, memory, kept


def layer_backward(
    kind: LayerKind,
    outputs: Tensor,
    memory: Tensor | None,
    kept: Tensor | None,
    weight_hh: Tensor,
    output_grads_BTH: Tensor,
    state_grad_CBH: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input products, hidden products (bfloat16 [B, T, G H]) and the state before."""
    num_rows, num_times, hidden_size = output_grads_BTH.shape
    state_grad_CBH = state_grad_CBH.clone(memory_format=torch.contiguous_format)
    input_grads = output_grads_BTH.new_empty(num_rows, num_times, kind.num_gates * hidden_size)
    product_grads = torch.empty_like(input_grads) if kind is LayerKind.GRU else input_grads
    tensors = {
        "packed": _packed(weight_hh, transposed=False),
        "outputs": outputs,
        "memory": memory,
        "kept": kept,
        "output_grads": output_grads_BTH,
        "hidden_grad": state_grad_CBH[0],
        "memory_grad": state_grad_CBH[-1],
        "input_grads": input_grads,
        "product_grads": product_grads,
    }
    layer = _layer(kind, num_times, hidden_size, tensors)
    check_status(load_library().layer_backward(byref(layer), num_rows, torch.get_num_threads()))
    return input_grads, product_grads, state_grad_CBH


def _layer(
    kind: LayerKind, num_times: int, hidden_size: int, tensors: Mapping[str, Tensor | None]
) -> LayerStruct:
    """Describe a layer to native code; its caller keeps the tensors alive."""
    addresses = {name: each.data_ptr() for name, each in tensors.items() if each is not None}
    return LayerStruct(kind, num_times, hidden_size, kind.num_gates, **addresses)


def _packed(weight: Tensor, *, transposed: bool) -> Tensor:
    """Lay a bfloat16 matrix out for the product in blocks of 64 columns."""
    rows, columns = weight.shape
    num_k, width = (columns, rows) if transposed else (rows, columns)
    packed = weight.new_empty(-(-width // 64) * 64 * num_k)
    load_library().pack_matrix(packed.data_ptr(), weight.data_ptr(), rows, columns, transposed)
    return packed
