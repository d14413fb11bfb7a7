"""The compiled step, loaded in the variant that suits this processor."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_double, c_int32, c_int64, c_uint64, c_void_p
from pathlib import Path

from refrain.models.native.library import NativeLibrary
from refrain.models.native.step.structures import STRUCTURES, SequenceStruct, WorkspaceStruct


def _declare(library: ctypes.CDLL) -> None:
    """Declare to ctypes what each function takes and returns."""
    sequences = POINTER(POINTER(SequenceStruct))
    workspace = POINTER(WorkspaceStruct)
    library.step_run.argtypes = (workspace, sequences, c_int32, c_int32, POINTER(c_int32))
    library.step_run.restype = c_int32
    library.step_answer.argtypes = (workspace, sequences, c_int32)
    library.step_answer.restype = None
    library.step_products.argtypes = (workspace, sequences, c_int32, c_int32)
    library.step_products.restype = c_int32
    library.step_table.argtypes = (
        c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_int64
    )  # fmt: skip
    library.step_table.restype = None
    library.step_start_threads.argtypes = (c_int32,)
    library.step_start_threads.restype = c_void_p
    library.step_stop_threads.argtypes = (c_void_p,)
    library.step_stop_threads.restype = None
    library.step_uniform.argtypes = (c_uint64, c_int64)
    library.step_uniform.restype = c_double


_STEP = NativeLibrary(Path(__file__).with_name("step"), STRUCTURES, _declare)
best_variant, built_variants = _STEP.best_variant, _STEP.built_variants
load_library = _STEP.load
