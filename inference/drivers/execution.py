"""An operation under way: which of its parts waits for which sequence. No threads, no event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from inference.engine.request import Request, Result
from inference.engine.sequence import Sequence as EngineSequence
from inference.operation import MORE, Delta, Gather, Operation

R = TypeVar("R")


class Submitted(NamedTuple):
    """A request that runs as a sequence; one that was answered at once has its result."""

    sequence: EngineSequence
    result: Result | None = None


Submit = Callable[[Sequence[Request]], Sequence[Submitted]]
Abort = Callable[[EngineSequence], None]


@dataclass(eq=False, slots=True)
class _Part:
    """One generator, and the part that gathers its answer."""

    operation: Operation[Any]
    parent: _Part | None = None
    index: int = 0
    num_missing: int = 0
    answers: list[Any] = field(default_factory=list)


class Execution(Generic[R]):
    """Advances an operation and those that it gathers, by whatever submits its requests.

    Attributes
    ----------
    waiting
        The sequences that run for it.
    deltas
        Pieces of text that it has written, and that nobody has taken yet.
    is_done
        Whether `answer`, which the operation returned, is there.
    """

    answer: R

    def __init__(self, operation: Operation[R]) -> None:
        self.waiting: dict[EngineSequence, _Part] = {}
        self.deltas: deque[Delta] = deque()
        self.is_done = False
        self._root = _Part(operation)

    def start(self, submit: Submit) -> None:
        """Run up to the first requests, which are submitted together: all of them or none."""
        self._submit(self._advance(self._root, None), submit)

    def resume(
        self, sequence: EngineSequence, result: Result, submit: Submit, abort: Abort
    ) -> None:
        """Pass a result to the part that waits for it; results of who waits no more are dropped."""
        part = self.waiting.get(sequence)
        if part is None:
            return
        if result.finish_reason:
            del self.waiting[sequence]
        asked = self._advance(part, result)  # who breaks here has left a stream running
        if asked and asked[0][1] is MORE:
            assert result.finish_reason is None
            return
        if result.finish_reason is None:
            del self.waiting[sequence]
            abort(sequence)  # its slot may be the one that what comes next waits for
        self._submit(asked, submit)

    def close(self) -> list[EngineSequence]:
        """End what is left of it; return what still runs."""
        left = list(self.waiting)
        self.waiting.clear()
        self._root.operation.close()
        return left

    def _submit(self, asked: list[tuple[_Part, Any]], submit: Submit) -> None:
        while asked:
            submitted = submit([request for _, request in asked])
            parts, asked = [part for part, _ in asked], []
            for part, (sequence, result) in zip(parts, submitted, strict=True):
                if result is None:
                    self.waiting[sequence] = part
                else:
                    asked += self._advance(part, result)

    def _advance(self, part: _Part, value: object) -> list[tuple[_Part, Any]]:
        """Let a part go on, and whoever can go on with its answer; return what is asked, by whom."""
        asked: list[tuple[_Part, Any]] = []
        ready: list[tuple[_Part, object]] = [(part, value)]
        while ready:
            part, value = ready.pop()
            try:
                work = part.operation.send(value)
            except StopIteration as end:
                if part.parent is None:
                    self.answer, self.is_done = end.value, True
                    continue
                parent = part.parent
                parent.answers[part.index] = end.value
                parent.num_missing -= 1
                if not parent.num_missing:
                    ready.append((parent, parent.answers))
                continue
            if isinstance(work, Delta):
                self.deltas.append(work)
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
