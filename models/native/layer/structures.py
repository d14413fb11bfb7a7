"""The C structures of layer.c, field by field."""

from __future__ import annotations

from ctypes import Structure, c_int64, c_void_p
from enum import IntEnum


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


class LayerStruct(Structure):
    """`Layer` of layer.c."""

    _fields_ = (
        *((name, c_int64) for name in ("kind", "times", "hidden", "gates")),
        *((name, c_void_p) for name in ("input_products", "input_bias", "hidden_bias", "packed")),
        *((name, c_void_p) for name in ("outputs", "memory", "kept", "output_grads")),
        *((name, c_void_p) for name in ("hidden_grad", "memory_grad")),
        *((name, c_void_p) for name in ("input_grads", "product_grads")),
    )


class SoftmaxStruct(Structure):
    """`Softmax` of layer.c."""

    _fields_ = (
        ("vocabulary", c_int64),
        *(
            (name, c_void_p)
            for name in ("scores", "bias", "targets", "losses", "bias_grads", "apart")
        ),
    )


class OpenMpStruct(Structure):
    """`OpenMp` of team.h."""

    _fields_ = tuple((name, c_void_p) for name in ("parallel", "thread_num", "num_threads"))
