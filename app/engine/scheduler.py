"""Which sequences advance in a step, and by how much. Knows no tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from app.engine.config import EngineConfig
from app.engine.errors import QueueFullError
from app.engine.sequence import Sequence


@dataclass(frozen=True)
class Batch:
    """One step's work: `wide` rows read a block each, `narrow` rows one token each."""

    wide: list[Sequence]
    narrow: list[Sequence]


class Scheduler:
    """First come, first served to the slots; every running sequence advances at every step.

    A sequence with a whole block unread reads blocks, so a long prompt takes few steps; at most `max_block_rows` do
    so at once, in turn, so that one step is never longer than one narrow and one wide rectangle.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def is_busy(self) -> bool:
        """Whether anybody runs or waits."""
        return bool(self.running or self.waiting)

    def check_room(self, num_sequences: int) -> None:
        """Refuse more sequences than the slots and the queue have room for.

        Raises
        ------
        QueueFullError
            If there is no room for all of them.
        """
        room = self._config.max_slots + self._config.max_queue
        if len(self.running) + len(self.waiting) + num_sequences > room:
            raise QueueFullError(
                f"{len(self.running)} texts are being served and {len(self.waiting)} wait; come back later"
            )

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences, all or none."""
        sequences = list(sequences)
        self.check_room(len(sequences))
        self.waiting.extend(sequences)

    def admit(self, free_slots: list[int]) -> list[Sequence]:
        """Give free slots to those who wait longest; they run from this step on."""
        admitted = []
        while self.waiting and free_slots:
            sequence = self.waiting.popleft()
            sequence.slot = free_slots.pop()
            admitted.append(sequence)
        self.running.extend(admitted)
        return admitted

    def schedule(self) -> Batch | None:
        """Choose this step's rectangles; None when nobody runs."""
        if not self.running:
            return None
        width = self._config.block_width
        readers = [sequence for sequence in self.running if sequence.num_unread >= width]
        wide = readers[: self._config.max_block_rows]
        if len(readers) > len(wide):
            in_wide = set(map(id, wide))
            self.running = [s for s in self.running if id(s) not in in_wide] + wide
        return Batch(wide, [s for s in self.running if s.num_unread < width])

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out; tells whether it held a slot."""
        if sequence in self.running:
            self.running.remove(sequence)
            return True
        if sequence in self.waiting:
            self.waiting.remove(sequence)
        return False
