"""Threads and memory of native steps, for one engine at a time."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refrain.models.native.step.cache_view import MAX_ENTRIES
from refrain.models.native.step.library import load_library
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.structures import (
    NetworkStruct,
    SamplerStruct,
    SequenceStruct,
    WorkspaceStruct,
)

COLUMNS = 64
"""Columns of a block: every width is padded to whole blocks."""
VECTOR = 16
"""Numbers that the native code takes at a time."""


def num_blocks_of(size: int) -> int:
    """Return how many blocks hold so many columns."""
    return -(-size // COLUMNS)


def _hidden_size(network: NetworkStruct | None) -> int:
    return network.layers[network.num_layers - 1].hidden_size if network is not None else 0


class SequenceList:
    """Pointers to sequences, as the native calls take them."""

    def __init__(self, sequences: Sequence[NativeSequence]) -> None:
        self._kept = list(sequences)
        self.count = len(self._kept)
        pointers = [ctypes.pointer(sequence.struct) for sequence in sequences]
        self.pointers = (ctypes.POINTER(SequenceStruct) * len(pointers))(*pointers)


class Workspace:
    """What `step_run` and `step_answer` work on.

    Parameters
    ----------
    network
        The quantised network that `run` advances; None where logits come from elsewhere.
    max_rows
        Most sequences of one call.
    num_threads
        Threads that share a step, the caller's own counted.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        eos_id: int,
        max_rows: int,
        num_threads: int,
        network: NetworkStruct | None = None,
        variant: str | None = None,
    ) -> None:
        self._library = load_library(variant)
        num_blocks = num_blocks_of(vocab_size)
        self._kept: list[NDArray[np.generic]] = []
        self.interrupt = ctypes.c_int32(0)
        self.logits = np.full((max_rows, num_blocks * COLUMNS), -np.inf, np.float32)
        samplers = [self._sampler(vocab_size, eos_id) for _ in range(num_threads)]
        self._struct = WorkspaceStruct(
            network=ctypes.pointer(network) if network is not None else None,
            threads=self._threads(num_threads),
            samplers=(SamplerStruct * num_threads)(*samplers),
            max_rows=max_rows,
            rows=self._memory(2 * max_rows, np.int64),
            sequences=self._memory(max_rows, np.int64),
            logit_rows=self._memory(2 * max_rows, np.int64),
            requesters=self._memory(max_rows, np.int64),
            indices=self._memory(max_rows, np.int32),
            kept=self._memory(max_rows * _hidden_size(network), np.uint8),
            logits=self.logits.ctypes.data,
            block_sums=self._sums(max_rows, num_blocks),
        )

    def _threads(self, num_threads: int) -> int:
        """Start threads that end with this workspace; return their address."""
        threads: int = self._library.step_start_threads(num_threads)
        weakref.finalize(self, self._library.step_stop_threads, threads)
        return threads

    def _sampler(self, vocab_size: int, eos_id: int) -> SamplerStruct:
        """Return what one thread needs to sample a token."""
        num_blocks = num_blocks_of(vocab_size)
        width = num_blocks * COLUMNS
        return SamplerStruct(
            vocab_size=vocab_size,
            num_blocks=num_blocks,
            eos_id=eos_id,
            work=self._memory(width, np.float32),
            sums=self._sums(1, num_blocks),
            seen=self._memory(vocab_size // 64 + 1, np.uint64),
            nearness=self._memory(width, np.float32),
            sorted=self._memory(vocab_size, np.int32),
            masses=self._memory(num_blocks + VECTOR, np.float32),
            weights=self._memory(MAX_ENTRIES, np.float32),
        )

    def _sums(self, num_rows: int, num_blocks: int) -> int:
        """Keep sums of blocks, [rows, 3, blocks padded to whole vectors], of nothing yet: (-infinity, 0, 0)."""
        sums = np.zeros((num_rows, 3, -(-num_blocks // VECTOR) * VECTOR), np.float32)
        sums[:, 0] = -np.inf
        self._kept.append(sums)
        return sums.ctypes.data

    def _memory(self, size: int, dtype: type[np.generic]) -> int:
        """Keep an array of zeros and return its address."""
        array = np.zeros(size, dtype)
        self._kept.append(array)
        return array.ctypes.data

    def run(self, sequences: SequenceList, max_steps: int) -> int:
        """Advance sequences until one is done or `interrupt` is set; return the number of steps."""
        assert sequences.count <= len(self.logits)
        num_steps: int = self._library.step_run(
            self._struct, sequences.pointers, sequences.count, max_steps, self.interrupt
        )
        return num_steps

    def answer(self, sequences: SequenceList) -> None:
        """Use `logits`, a row a sequence, as what follows the token that each sequence reads now."""
        assert sequences.count <= len(self.logits)
        self._library.step_answer(self._struct, sequences.pointers, sequences.count)

    def products(self, sequences: SequenceList, num_steps: int) -> None:
        """Make the matrix products of so many steps and nothing else, for benchmarks."""
        self._library.step_products(self._struct, sequences.pointers, sequences.count, num_steps)
