"""The compiled half of training: a recurrent layer over time, and the softmax of a large vocabulary, in bfloat16.

Shapes: B rows, T times, H width of the layer, G gates, V vocabulary, R rows of scores.
"""

from __future__ import annotations

import ctypes
import warnings
from ctypes import POINTER, Structure, byref, c_int64, c_void_p
from enum import IntEnum
from pathlib import Path

import torch
from torch import Tensor

from refrain.models.native.library import NativeLibrary

UNITS = 16
"""Layers must be a multiple of this wide: what one vector holds."""


class LayerKind(IntEnum):
    """Cells that the compiled layer knows."""

    LSTM = 0
    GRU = 1
    ELMAN_TANH = 2
    ELMAN_RELU = 3
    ELMAN_SIGMOID = 4

    @property
    def num_gates(self) -> int:
        """Blocks of H rows in the weight matrices."""
        return {LayerKind.LSTM: 4, LayerKind.GRU: 3}.get(self, 1)

    @property
    def has_memory(self) -> bool:
        """Whether a float32 vector goes from step to step: an LSTM's cell, a GRU's output."""
        return self in (LayerKind.LSTM, LayerKind.GRU)


class _Layer(Structure):
    """`Layer` of layer.c."""

    _fields_ = (
        *((name, c_int64) for name in ("kind", "times", "hidden", "gates")),
        *((name, c_void_p) for name in ("input_products", "input_bias", "hidden_bias", "packed")),
        *((name, c_void_p) for name in ("outputs", "memory", "kept", "output_grads")),
        *((name, c_void_p) for name in ("hidden_grad", "memory_grad")),
        *((name, c_void_p) for name in ("input_grads", "product_grads")),
    )


class _Softmax(Structure):
    """`Softmax` of layer.c."""

    _fields_ = (
        ("vocabulary", c_int64),
        *(
            (name, c_void_p)
            for name in ("scores", "bias", "targets", "losses", "bias_grads", "apart")
        ),
    )


class _OpenMp(Structure):
    """`OpenMp` of team.h."""

    _fields_ = tuple((name, c_void_p) for name in ("parallel", "thread_num", "num_threads"))


def _openmp() -> _OpenMp:
    """Find the OpenMP that torch is linked to; nothing of it, with a warning, where torch was built without."""
    libraries = ctypes.CDLL(torch._C.__file__)
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    try:
        return _OpenMp(*(ctypes.cast(getattr(libraries, name), c_void_p) for name in names))
    except AttributeError as error:
        warnings.warn(
            f"torch {torch.__version__} has no OpenMP that could be called ({error}): "
            "layers and softmax of a training step take one thread",
            stacklevel=2,
        )
        return _OpenMp()


def _declare(library: ctypes.CDLL) -> None:
    library.use_openmp.argtypes = (_OpenMp,)
    library.layer_forward.argtypes = (POINTER(_Layer), c_int64, c_int64)
    library.layer_backward.argtypes = (POINTER(_Layer), c_int64, c_int64)
    library.softmax_errors.argtypes = (POINTER(_Softmax), c_int64, c_int64)
    library.pack_matrix.argtypes = (c_void_p, c_void_p, c_int64, c_int64, c_int64)
    library.use_openmp.restype = library.pack_matrix.restype = None
    library.use_openmp(_openmp())


_LAYER = NativeLibrary(Path(__file__).with_name("layer"), (_Layer, _Softmax, _OpenMp), _declare)
load_library = _LAYER.load


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
    layer = _Layer(
        kind=kind,
        times=num_times,
        hidden=hidden_size,
        gates=kind.num_gates,
        input_products=input_products_BTG.data_ptr(),
        input_bias=biases[0].data_ptr(),
        hidden_bias=biases[1].data_ptr(),
        outputs=outputs.data_ptr(),
        memory=None if memory is None else memory.data_ptr(),
        kept=None if kept is None else kept.data_ptr(),
    )
    packed = _packed(weight_hh, transposed=True)
    layer.packed = packed.data_ptr()
    _check(load_library().layer_forward(byref(layer), num_rows, torch.get_num_threads()))
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
    packed = _packed(weight_hh, transposed=False)
    layer = _Layer(
        kind=kind,
        times=num_times,
        hidden=hidden_size,
        gates=kind.num_gates,
        packed=packed.data_ptr(),
        outputs=outputs.data_ptr(),
        memory=None if memory is None else memory.data_ptr(),
        kept=None if kept is None else kept.data_ptr(),
        output_grads=output_grads_BTH.data_ptr(),
        hidden_grad=state_grad_CBH[0].data_ptr(),
        memory_grad=state_grad_CBH[-1].data_ptr(),
        input_grads=input_grads.data_ptr(),
        product_grads=product_grads.data_ptr(),
    )
    _check(load_library().layer_backward(byref(layer), num_rows, torch.get_num_threads()))
    return input_grads, product_grads, state_grad_CBH


def softmax_errors(
    scores_RV: Tensor, bias_V: Tensor, targets_R: Tensor, target_scores_R: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Turn bfloat16 scores, in place, to the softmax of scores + bias, less one at the target.

    With `target_scores_R` the targets stand beside the columns: their float32 scores become their errors in place, and
    a column that is the target (none where it is negative) counts for nothing.

    Returns
    -------
    losses_R, bias_grad_V
        The losses in nats, and the errors summed over the rows; float32.
    """
    num_rows, vocab_size = scores_RV.shape
    losses_R = torch.empty(num_rows)
    num_threads = torch.get_num_threads()
    bias_grads_PV = torch.zeros(max(1, min(num_rows, num_threads)), vocab_size)
    softmax = _Softmax(
        vocabulary=vocab_size,
        scores=scores_RV.data_ptr(),
        bias=bias_V.data_ptr(),
        targets=targets_R.data_ptr(),
        losses=losses_R.data_ptr(),
        bias_grads=bias_grads_PV.data_ptr(),
        apart=None if target_scores_R is None else target_scores_R.data_ptr(),
    )
    _check(load_library().softmax_errors(byref(softmax), num_rows, num_threads))
    return losses_R, bias_grads_PV.sum(0)


def _packed(weight: Tensor, *, transposed: bool) -> Tensor:
    """Lay a bfloat16 matrix out for the product in blocks of 64 columns."""
    rows, columns = weight.shape
    num_k, width = (columns, rows) if transposed else (rows, columns)
    packed = weight.new_empty(-(-width // 64) * 64 * num_k)
    load_library().pack_matrix(packed.data_ptr(), weight.data_ptr(), rows, columns, transposed)
    return packed


def _check(status: int) -> None:
    if status:
        raise MemoryError("no memory for the scratch of a compiled layer or softmax")
