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
        self._num_taken = 0

    @property
    def is_busy(self) -> bool:
        """Whether anybody runs or waits."""
        return bool(self.running or self.num_waiting)

    def check_room(self, num_slots: int) -> None:
        """Refuse more sequences than the slots and the queue have room for; a search counts for its hypotheses.

        Raises
        ------
        QueueFullError
            If there is no room for all of them now.
        RequestTooLargeError
            If there never will be.
        """
        room = self._config.max_slots + self._config.max_queue
        if num_slots > room:
            raise RequestTooLargeError(f"{num_slots} texts at once; there is room for {room}")
        if self._num_taken + num_slots > room:
            raise QueueFullError(
                f"{len(self.running)} texts are being served and {self.num_waiting} wait; come back later"
            )

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences, all or none."""
        sequences = list(sequences)
        num_slots = sum(sequence.num_slots for sequence in sequences)
        self.check_room(num_slots)
        largest = max((sequence.num_slots for sequence in sequences), default=0)
        if largest > self._config.max_slots:
            raise RequestTooLargeError(
                f"a search of {largest} hypotheses; there are {self._config.max_slots} slots"
            )
        self._num_taken += num_slots
        for sequence in sequences:
            self._queues.setdefault(sequence.caller, deque()).append(sequence)
        self.num_waiting += len(sequences)

    def admit(self, free_slots: list[int]) -> list[Sequence]:
        """Give free slots to those whose turn it is; they run from this step on.

        Whose search needs more slots than are free keeps its turn until they are.
        """
        admitted = []
        while self._queues and free_slots:
            caller, queue = next(iter(self._queues.items()))
            if queue[0].num_slots > len(free_slots):
                break
            sequence = queue.popleft()
            del self._queues[caller]
            if queue:
                self._queues[caller] = queue
            for row in (sequence, *sequence.siblings):
                row.slot = free_slots.pop()
            admitted.append(sequence)
        self.num_waiting -= len(admitted)
        self.running.extend(admitted)
        return admitted

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out; tells whether it held a slot."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._num_taken -= sequence.num_slots
            return True
        queue = self._queues.get(sequence.caller)
        if queue and sequence in queue:
            queue.remove(sequence)
            self.num_waiting -= 1
            self._num_taken -= sequence.num_slots
            if not queue:
                del self._queues[sequence.caller]
        return False
