"""Runs the integer form of a language model: many steps in one native call."""

from __future__ import annotations

import numpy as np

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.sequence import Sequence
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.workspace import SequenceList, Workspace

ALIGNMENT = 64


class Int8Runner:
    """Slots of bytes, and the workspace that steps them."""

    def __init__(self, model: Int8LanguageModel, config: EngineConfig, *, eos_id: int) -> None:
        self.shape = ModelShape(
            model.vocab_size, eos_id, model.layout.sizes[-1], model.layout.num_state_bytes
        )
        self.is_quick = True
        self._model = model
        self._workspace = Workspace(
            vocab_size=model.vocab_size,
            eos_id=eos_id,
            max_rows=config.max_slots,
            num_threads=config.num_threads,
            network=model.struct,
        )
        self.interrupt = self._workspace.interrupt
        slot_bytes = model.layout.num_bytes
        memory = np.zeros(config.max_slots * slot_bytes + ALIGNMENT, np.uint8)
        first = -memory.ctypes.data % ALIGNMENT
        self._slots = memory[first : first + config.max_slots * slot_bytes].reshape(-1, slot_bytes)
        self._empty = np.empty(slot_bytes, np.uint8)
        model.layout.clear(self._empty)
        self._listed: list[Sequence] = []
        self._list = SequenceList([])

    def open(self, sequence: Sequence, packed: bytes | None) -> None:
        slot = self._slots[sequence.slot]
        if packed is None:
            slot[:] = self._empty
        else:
            self._model.layout.unpack(packed, slot)
        sequence.native.struct.slot = slot.ctypes.data
        sequence.native.struct.parity = 0

    def fork(self, source: Sequence, target: Sequence) -> None:
        slot = self._slots[target.slot]
        slot[:] = self._slots[source.slot]
        target.native.struct.slot = slot.ctypes.data
        target.native.struct.parity = source.native.struct.parity

    def run(self, sequences: list[Sequence], max_steps: int) -> int:
        if sequences != self._listed:
            self._listed = list(sequences)
            self._list = SequenceList([sequence.native for sequence in sequences])
        return self._workspace.run(self._list, max_steps)

    def pack(self, sequence: Sequence) -> bytes:
        return self._model.layout.pack(self._slots[sequence.slot], sequence.native.struct.parity)
