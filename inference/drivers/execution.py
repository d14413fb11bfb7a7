"""An operation under way: which of its parts waits for which sequence. No threads, no event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from refrain.inference.engine.request import Request, Result
from refrain.inference.engine.sequence import Sequence as EngineSequence
from refrain.inference.errors import EngineError
from refrain.inference.operation import MORE, Delta, Gather, Operation

R = TypeVar("R")
E_contra = TypeVar("E_contra", bound="Execution[Any]", contravariant=True)
Message = tuple[EngineSequence, Result | EngineError]


class Driver(Protocol[E_contra]):
    """What executions ask to run their requests; what is found out comes to their inbox."""

    def submit(self, execution: E_contra, requests: Sequence[Request]) -> list[EngineSequence]:
        """Queue requests, all or none, and whatever the queue's length once `is_admitted`."""

    def abort(self, sequences: Iterable[EngineSequence]) -> None:
        """Free, before the next step, the slots of what nobody waits for any more."""


@dataclass(eq=False, slots=True)
class _Part:
    """One generator, and the part that gathers its answer."""

    operation: Operation[Any]
    parent: _Part | None = None
    index: int = 0
    num_missing: int = 0
    answers: list[Any] = field(default_factory=list)


@dataclass(eq=False, repr=False)
class Execution(Generic[R]):
    """Advances an operation and those that it gathers; made, it has run up to the first requests.

    Attributes
    ----------
    inbox
        What has been found out for it, to `resume` with; executions may share one.
    waiting
        The sequences that run for it.
    pieces
        Pieces of text that it has written, and that nobody has taken yet.
    is_admitted
        Whether its first requests were queued: nothing is refused after that for want of room.
    is_done
        Whether `returned`, the operation's answer, is there.
    """

    driver: Driver[Self]
    operation: Operation[R]
    inbox: deque[Message] = field(default_factory=deque)
    waiting: dict[EngineSequence, _Part] = field(default_factory=dict)
    pieces: deque[Delta] = field(default_factory=deque)
    is_admitted: bool = False
    is_done: bool = False
    returned: R = field(init=False)

    def __post_init__(self) -> None:
        """Run up to the first requests, which are submitted together: all of them or none."""
        self._submit(self._advance(_Part(self.operation), None))
        self.is_admitted = True

    def resume(self, sequence: EngineSequence, result: Result) -> None:
        """Pass a result to the part that waits for it; results of who waits no more are dropped."""
        part = self.waiting.get(sequence)
        if part is None:
            return
        if result.finish_reason:
            self._leave(sequence)
        asked = self._advance(part, result)  # who breaks here has left a stream running
        if asked and asked[0][1] is MORE:
            assert result.finish_reason is None
            return
        if result.finish_reason is None:
            self._leave(sequence)
            self.driver.abort([sequence])  # its slot may be the one that what comes next waits for
        self._submit(asked)

    def abort(self) -> None:
        """End what is left of it, and free its slots; harmless where all is done."""
        if left := list(self.waiting):
            for sequence in left:
                self._leave(sequence)
            self.driver.abort(left)
        self.operation.close()

    def _leave(self, sequence: EngineSequence) -> None:
        """Wait no more for a sequence, which has ended or is to."""
        del self.waiting[sequence]

    def _submit(self: Self, asked: list[tuple[_Part, Any]]) -> None:
        if asked:
            sequences = self.driver.submit(self, [request for _, request in asked])
            for (part, _), sequence in zip(asked, sequences, strict=True):
                self.waiting[sequence] = part

    def _advance(self, part: _Part, value: object) -> list[tuple[_Part, Any]]:
        """Advance a part, and whoever can go on with its answer; return what is asked, by whom."""
        asked: list[tuple[_Part, Any]] = []
        ready: list[tuple[_Part, object]] = [(part, value)]
        while ready:
            part, value = ready.pop()
            try:
                work = part.operation.send(value)
            except StopIteration as end:
                if (parent := part.parent) is None:
                    self.returned, self.is_done = end.value, True
                else:
                    parent.answers[part.index] = end.value
                    parent.num_missing -= 1
                    if not parent.num_missing:
                        ready.append((parent, parent.answers))
                continue
            if isinstance(work, Delta):
                self.pieces.append(work)
                ready.append((part, None))
            elif isinstance(work, Gather):
                part.num_missing = len(work.operations)
                part.answers = [None] * part.num_missing
                parts = [_Part(each, part, index) for index, each in enumerate(work.operations)]
                # The first one runs first; who gathers nothing goes on at once.
                ready += [(each, None) for each in reversed(parts)] or [(part, part.answers)]
            else:
                asked.append((part, work))
        return asked
