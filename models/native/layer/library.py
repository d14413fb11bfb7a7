"""The compiled layer, loaded in the variant that suits this processor."""

from __future__ import annotations

import ctypes
import warnings
from ctypes import POINTER, c_int64, c_void_p
from pathlib import Path

import torch

from refrain.models.native.layer.structures import LayerStruct, OpenMpStruct, SoftmaxStruct
from refrain.models.native.library import NativeLibrary


def find_openmp() -> OpenMpStruct:
    """Find the OpenMP that torch is linked to; none of it, with a warning, where torch was built without."""
    libraries = ctypes.CDLL(torch._C.__file__)
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    try:
        return OpenMpStruct(*(ctypes.cast(getattr(libraries, name), c_void_p) for name in names))
    except AttributeError as error:
        warnings.warn(
            f"torch {torch.__version__} has no OpenMP that could be called ({error}): "
            "layers and softmax of a training step take one thread",
            stacklevel=2,
        )
        return OpenMpStruct()


def _declare(library: ctypes.CDLL) -> None:
    library.use_openmp.argtypes = (OpenMpStruct,)
    library.layer_forward.argtypes = (POINTER(LayerStruct), c_int64, c_int64)
    library.layer_backward.argtypes = (POINTER(LayerStruct), c_int64, c_int64)
    library.softmax_errors.argtypes = (POINTER(SoftmaxStruct), c_int64, c_int64)
    library.pack_matrix.argtypes = (c_void_p, c_void_p, c_int64, c_int64, c_int64)
    library.use_openmp.restype = library.pack_matrix.restype = None
    library.use_openmp(find_openmp())


STRUCTURES = (LayerStruct, SoftmaxStruct, OpenMpStruct)
"""Those whose sizes `native_layout` returns."""
LIBRARY = NativeLibrary(Path(__file__).with_name("layer"), STRUCTURES, _declare)
load_library = LIBRARY.load


def check_status(status: int) -> None:
    """Raise MemoryError where a call reports that it had no memory."""
    if status:
        raise MemoryError("no memory for the scratch of a compiled layer or softmax")
