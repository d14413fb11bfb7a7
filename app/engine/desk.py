"""Many questions on one engine that has no thread of its own: every slot filled, answers in the questions' order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Generic, TypeVar

from app.engine.beam_search import BeamSearch
from app.engine.engine import Engine, is_final
from app.engine.sequence import Outcome, Sequence

Answer = TypeVar("Answer")
Work = Sequence | BeamSearch
Question = Generator[Work, Outcome, Answer]
"""Yields what is to be run, gets what was found out, returns its answer; what tells more than once is yielded again."""

MAX_AHEAD = 4_096
"""Questions that may be begun beyond the oldest one that has no answer yet."""
SPARE = 16
"""Texts that wait when every slot is taken, so that a free slot is filled before the next step."""


class Desk:
    """Takes questions to an engine; whoever waits for an answer advances everybody's.

    Several threads may ask at once, and who is given answers one by one may ask something else meanwhile. So may what
    is called in between, the iterator of the questions and the questions themselves: the lock is held only where the
    engine is touched, so that none of them keeps another thread waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()

    def answer(self, question: Question[Answer]) -> Answer:
        """Answer one question."""
        return next(self.answer_all([question]))

    def answer_all(
        self, questions: Iterable[Question[Answer]], may_take: Callable[[], bool] = lambda: True
    ) -> Iterator[Answer]:
        """Answer questions side by side, and tell the answers in order, each as soon as it is its turn.

        Questions are taken from their iterator only when there is room. `may_take` tells whether the caller has room
        too; it must have where everything that it gave has been answered.
        """
        asked = _Asked(self._engine, self._lock, questions, may_take)
        try:
            while not asked.is_over:
                asked.hear()
                asked.take()
                with self._lock:
                    if not asked.has_news and self._engine.scheduler.is_busy:
                        self._step()
                yield from asked.answers()
        finally:
            asked.give_up()

    def _step(self) -> None:
        self._engine.admit()
        for sequence, outcome in self._engine.step():
            sequence.sink(outcome)


class _Asked(Generic[Answer]):
    """What one caller has asked: the questions under way, and the answers that wait for their turn."""

    def __init__(
        self,
        engine: Engine,
        lock: threading.Lock,
        questions: Iterable[Question[Answer]],
        may_take: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._questions = iter(questions)
        self._may_take = may_take
        self._is_exhausted = False
        self._num_taken = 0
        self._num_told = 0
        self._open: dict[Sequence, tuple[int, Question[Answer]]] = {}
        self._heard: deque[tuple[Sequence, Outcome]] = deque()
        self._answers: dict[int, Answer] = {}

    @property
    def is_over(self) -> bool:
        """Whether every question is answered, and every answer told."""
        return self._is_exhausted and self._num_told == self._num_taken

    @property
    def has_news(self) -> bool:
        """Whether there is something to do before the next step."""
        return bool(self._heard) or self._num_told in self._answers

    def hear(self) -> None:
        """Let questions go on with what was found out for them."""
        while self._heard:
            sequence, outcome = self._heard.popleft()
            if sequence not in self._open:  # its question has been answered already
                continue
            number, question = self._open[sequence]
            if self._advance(number, partial(question.send, outcome), question) is sequence:
                continue
            del self._open[sequence]
            if not is_final(outcome):
                with self._lock:
                    self._engine.remove(sequence)

    def take(self) -> None:
        """Begin as many questions as fill the slots."""
        room = self._engine.num_slots + SPARE
        while not self._is_exhausted and self._engine.scheduler.num_taken < room:
            if self._num_taken - self._num_told >= MAX_AHEAD or not self._may_take():
                return
            question = next(self._questions, None)
            if question is None:
                self._is_exhausted = True
                return
            self._num_taken += 1
            self._advance(self._num_taken - 1, partial(next, question), question)

    def answers(self) -> Iterator[Answer]:
        """Give the answers whose turn it is."""
        while self._num_told in self._answers:
            answer = self._answers.pop(self._num_told)
            self._num_told += 1
            yield answer

    def give_up(self) -> None:
        """Free what is still under way."""
        with self._lock:
            for sequence in self._open:
                self._engine.remove(sequence)
        self._open.clear()

    def _advance(
        self, number: int, go_on: Callable[[], Work], question: Question[Answer]
    ) -> Sequence | None:
        """Let a question go on, to its answer or to its next work; give what that runs as."""
        try:
            work = go_on()
        except StopIteration as end:
            self._answers[number] = end.value
            return None
        sequence = work.root if isinstance(work, BeamSearch) else work
        if sequence in self._open:  # it has more to tell
            return sequence
        self._open[sequence] = (number, question)
        sequence.sink = partial(self._hear_later, sequence)
        with self._lock:
            if isinstance(work, BeamSearch):
                self._engine.add_search(sequence, work)
            else:
                self._engine.add([sequence])
        return sequence

    def _hear_later(self, sequence: Sequence, outcome: Outcome) -> None:
        self._heard.append((sequence, outcome))
