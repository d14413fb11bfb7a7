"""Who gets a slot. Knows no tensors."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from app.engine.config import EngineConfig
from app.engine.errors import QueueFullError, RequestTooLargeError
from app.engine.sequence import Sequence


class Scheduler:
    """Callers take turns at free slots, each with its longest-waiting text; who holds a slot advances at every step.

    A slot's memory has a fixed size, so nothing is ever moved out again: a text keeps its slot until it is done.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._queues: OrderedDict[str, deque[Sequence]] = OrderedDict()
        self.running: list[Sequence] = []
        self.num_waiting = 0

    @property
    def is_busy(self) -> bool:
        """Whether anybody runs or waits."""
        return bool(self.running or self.num_waiting)

    def check_room(self, num_sequences: int) -> None:
        """Refuse more sequences than the slots and the queue have room for.

        Raises
        ------
        QueueFullError
            If there is no room for all of them now.
        RequestTooLargeError
            If there never will be.
        """
        room = self._config.max_slots + self._config.max_queue
        if num_sequences > room:
            raise RequestTooLargeError(f"{num_sequences} texts at once; there is room for {room}")
        if len(self.running) + self.num_waiting + num_sequences > room:
            raise QueueFullError(
                f"{len(self.running)} texts are being served and {self.num_waiting} wait; come back later"
            )

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences, all or none."""
        sequences = list(sequences)
        self.check_room(len(sequences))
        for sequence in sequences:
            self._queues.setdefault(sequence.caller, deque()).append(sequence)
        self.num_waiting += len(sequences)

    def admit(self, free_slots: list[int]) -> list[Sequence]:
        """Give free slots to those whose turn it is; they run from this step on."""
        admitted = []
        while self._queues and free_slots:
            caller, queue = self._queues.popitem(last=False)
            sequence = queue.popleft()
            if queue:
                self._queues[caller] = queue
            sequence.slot = free_slots.pop()
            admitted.append(sequence)
        self.num_waiting -= len(admitted)
        self.running.extend(admitted)
        return admitted

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out; tells whether it held a slot."""
        if sequence in self.running:
            self.running.remove(sequence)
            return True
        queue = self._queues.get(sequence.caller)
        if queue and sequence in queue:
            queue.remove(sequence)
            self.num_waiting -= 1
            if not queue:
                del self._queues[sequence.caller]
        return False
