"""The first layer's table of a quantised network, computed natively: the same bytes on every processor.

Shapes: V vocabulary, E embedding, N columns.
"""

from __future__ import annotations

import ctypes
import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refrain.models.native.step.library import load_library
from refrain.models.native.step.workspace import COLUMNS


def compute_table(
    embedding_VE: NDArray[np.float32],
    weight_NE: NDArray[np.float32],
    bias_N: NDArray[np.float32],
    *,
    num_threads: int = 1,
    variant: str | None = None,
) -> NDArray[np.float16]:
    """Compute `embedding @ weight.T + bias` in a fixed order and round it to half precision, [V, N].

    Each sum starts from the bias and takes e = 0, 1, 2, ... in order; the product and the sum are rounded to float32
    every time, so that neither the processor nor the number of threads changes a byte.

    Parameters
    ----------
    weight_NE
        N is a multiple of 64.
    num_threads
        Threads that share the tokens.
    variant
        Of the native library; None takes the best one.
    """
    num_columns, size = weight_NE.shape
    assert num_columns == len(bias_N)
    assert num_columns % COLUMNS == 0
    assert size == embedding_VE.shape[1]
    embedding = np.ascontiguousarray(embedding_VE, np.float32)
    blocks = weight_NE.reshape(-1, COLUMNS, size).transpose(0, 2, 1)
    weight = np.ascontiguousarray(blocks, np.float32)
    bias = np.ascontiguousarray(bias_N, np.float32)
    table = np.empty((len(embedding), num_columns), np.float16)
    compute = partial(_compute_rows, load_library(variant), weight, bias)
    bounds = [len(table) * part // num_threads for part in range(num_threads + 1)]
    parts = [slice(*pair) for pair in itertools.pairwise(bounds)]
    with ThreadPoolExecutor(num_threads) as threads:
        list(
            threads.map(
                compute, [table[part] for part in parts], [embedding[part] for part in parts]
            )
        )
    return table


def _compute_rows(
    library: ctypes.CDLL,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    table: NDArray[np.float16],
    embedding: NDArray[np.float32],
) -> None:
    """Fill the rows of some tokens; the call holds no lock of Python's."""
    library.step_table(
        table.ctypes.data,
        embedding.ctypes.data,
        *embedding.shape,
        weight.ctypes.data,
        bias.ctypes.data,
        len(bias),
    )
