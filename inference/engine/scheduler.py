"""Who gets a slot, and who is preempted. Knows no tensors."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.sequence import Sequence
from refrain.inference.errors import QueueFullError, RequestTooLargeError


class Scheduler:
    """Assigns free slots to callers in turn, each with its longest-waiting text; a text in a slot advances every step.

    A text keeps its slot until it is done, unless somebody waits: then one whose reader does not read is preempted,
    since its slot does no work, and so is one that has used its time slice of `time_slice` tokens, if its caller holds
    more slots than who waits, so that no caller starves another. A slot is a few kilobytes, so to swap it out and to go
    on later costs next to nothing, and changes nothing.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._queues: OrderedDict[str, deque[Sequence]] = OrderedDict()
        self.running: list[Sequence] = []
        self._swapped_out: list[Sequence] = []
        self.num_waiting = 0
        # Requests come in on one thread while texts end on another, so each counter has one writer at a time.
        self._num_added = 0
        self._num_removed = 0

    @property
    def num_taken(self) -> int:
        """Slots that texts hold or wait for."""
        return self._num_added - self._num_removed

    @property
    def has_somebody_to_move(self) -> bool:
        """Whether one that was swapped out may go on, or one that its reader has left behind may make room."""
        if any(not sequence.is_ahead for sequence in self._swapped_out):
            return True
        return self.num_waiting > 0 and any(sequence.is_ahead for sequence in self.running)

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
        if self.num_taken + num_slots > room:
            served = f"{len(self.running)} texts are being served"
            raise QueueFullError(f"{served} and {self.num_waiting} wait; come back later")

    def add(self, sequences: Iterable[Sequence], *, is_admitted: bool = False) -> None:
        """Queue sequences, all or none.

        Those of a request that was admitted go in whatever the queue's length: what has begun is not refused half-way.
        """
        sequences = list(sequences)
        sizes = [sequence.num_slots for sequence in sequences]
        if not is_admitted:
            self.check_room(sum(sizes))
        largest = max(sizes, default=0)
        if largest > self._config.max_slots:
            slots = f"there are {self._config.max_slots} slots"
            raise RequestTooLargeError(f"a search of {largest} hypotheses; {slots}")
        self._num_added += sum(sizes)
        for sequence in sequences:
            self._enqueue(sequence)

    def _enqueue(self, sequence: Sequence) -> None:
        self._queues.setdefault(sequence.caller, deque()).append(sequence)
        self.num_waiting += 1

    def preempt(self, num_free: int) -> list[Sequence]:
        """Choose who loses a slot, if so many are not enough for who is next, and queue them again."""
        if not self._queues or next(iter(self._queues.values()))[0].num_slots <= num_free:
            return []
        preempted = [s for s in self.running if s.is_ahead and not s.siblings]
        if not preempted:
            preempted = self._used_their_slice()
        for sequence in preempted:
            self.running.remove(sequence)
            if sequence.is_ahead:
                self._swapped_out.append(sequence)
            else:
                self._enqueue(sequence)
        return preempted

    def _used_their_slice(self) -> list[Sequence]:
        """Return as many texts as callers wait, of those who hold the most slots and more than who waits."""
        by_caller: defaultdict[str, list[Sequence]] = defaultdict(list)
        for sequence in self.running:
            if sequence.num_read_since >= self._config.time_slice and not sequence.siblings:
                by_caller[sequence.caller].append(sequence)
        num_held = Counter(sequence.caller for sequence in self.running)
        found: list[Sequence] = []
        for caller in self._queues:
            greediest = max(by_caller, key=num_held.__getitem__, default=caller)
            if num_held[greediest] <= num_held[caller] + 1:
                continue
            longest = max(by_caller[greediest], key=lambda sequence: sequence.num_read_since)
            found.append(longest)
            by_caller[greediest].remove(longest)
            if not by_caller[greediest]:
                del by_caller[greediest]
            num_held[greediest] -= 1
            num_held[caller] += 1
        return found

    def admit(self, free_slots: list[int]) -> list[Sequence]:
        """Assign free slots to those whose turn it is; they run from this step on.

        Whose search needs more slots than are free keeps its turn until they are.
        """
        for sequence in [s for s in self._swapped_out if not s.is_ahead]:
            self._swapped_out.remove(sequence)
            self._enqueue(sequence)
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
        """Take a sequence out; return whether it held a slot."""
        queue = self._queues.get(sequence.caller, deque())
        for place in (self.running, self._swapped_out, queue):
            if sequence in place:
                place.remove(sequence)
                self._num_removed += sequence.num_slots
                break
        else:
            return False
        if place is queue:
            self.num_waiting -= 1
            if not queue:
                del self._queues[sequence.caller]
        return place is self.running
