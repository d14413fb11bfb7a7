"""The engine on a thread of its own, awaited from any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Sequence as Ids
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from app.engine.config import EngineConfig
from app.engine.engine import Engine, Outcome, is_final
from app.engine.errors import EngineError, EngineFailureError, EngineStoppedError
from app.engine.sequence import SamplingParams, Scored, Sequence, TokenEvent
from models.predictor import TokenPredictor

Message = Outcome | EngineError


class Mailbox:
    """Where one sequence's outcomes arrive, on the event loop that asked."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message] = asyncio.Queue()

    async def get(self) -> Outcome:
        """Wait for the next outcome, or raise the error that ended the sequence."""
        message = await self.queue.get()
        if isinstance(message, EngineError):
            raise message
        return message


class TokenStream:
    """The tokens of one text as they are written; leaving the `async with` aborts what is not finished."""

    def __init__(self, engine: AsyncEngine, sequence: Sequence) -> None:
        self._engine = engine
        self._sequence = sequence
        self._is_finished = not sequence.may_write

    def __aiter__(self) -> TokenStream:
        return self

    async def __anext__(self) -> TokenEvent:
        if self._is_finished:
            raise StopAsyncIteration
        event = await self._sequence.sink.get()
        assert isinstance(event, TokenEvent)
        self._is_finished = event.finish_reason is not None
        return event

    async def __aenter__(self) -> TokenStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Free the slot within one step; harmless when the text is finished."""
        if not self._is_finished:
            self._is_finished = True
            self._engine.abort(self._sequence)


class AsyncEngine:
    """One model's engine thread and the face that services await."""

    def __init__(self, model: TokenPredictor, config: EngineConfig, *, boundary_id: int) -> None:
        self._engine = Engine(model, config, boundary_id=boundary_id)
        self._boundary_id = boundary_id
        self._condition = threading.Condition()
        self._aborted: list[Sequence] = []
        self._open: set[Sequence] = set()
        self._is_stopping = False
        self._failure: EngineError | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    async def stop(self) -> None:
        """End everything open with EngineStoppedError, and the thread."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    @property
    def is_alive(self) -> bool:
        """Whether it serves: started, and neither stopped nor broken."""
        return self._thread.is_alive() and not self._is_stopping and self._failure is None

    @property
    def num_running(self) -> int:
        """Sequences that hold a slot."""
        return len(self._engine.scheduler.running)

    @property
    def num_waiting(self) -> int:
        """Sequences that wait for one."""
        return len(self._engine.scheduler.waiting)

    def admit(self, num_sequences: int) -> None:
        """Check that there is room before any work is done for a request.

        Raises
        ------
        QueueFullError
            If the queue has no room for so many.
        EngineStoppedError
            If the engine has stopped.
        """
        with self._condition:
            self._check_alive()
            self._engine.scheduler.check_room(num_sequences)

    def generate(self, requests: Ids[tuple[Ids[int], SamplingParams]]) -> list[TokenStream]:
        """Submit texts to go on with, all or none; one stream for each, empty where no token may be written."""
        sequences = [
            Sequence.start("generate", self._boundary_id, ids, params) for ids, params in requests
        ]
        self._submit([sequence for sequence in sequences if sequence.may_write])
        return [TokenStream(self, sequence) for sequence in sequences]

    async def score(self, token_ids: Ids[int], *, count_end: bool = False) -> Scored:
        """Give the log-probability of each token after those before it; with `count_end` of the end too."""
        ids = [*token_ids, self._boundary_id] if count_end else token_ids
        if not ids:
            return Scored([], [])
        outcome = await self._ask(Sequence.start("score", self._boundary_id, ids))
        assert isinstance(outcome, Scored)
        return outcome

    async def next(self, token_ids: Ids[int]) -> NDArray[np.float32]:
        """Give the natural log-probability of every token after these, float32 [V]."""
        outcome = await self._ask(Sequence.start("next", self._boundary_id, token_ids))
        assert isinstance(outcome, Tensor)
        log_probs_V: NDArray[np.float32] = outcome.numpy()
        return log_probs_V

    def abort(self, sequence: Sequence) -> None:
        """Take a sequence out before the next step."""
        with self._condition:
            self._aborted.append(sequence)
            self._condition.notify()

    async def _ask(self, sequence: Sequence) -> Outcome:
        self._submit([sequence])
        try:
            outcome: Outcome = await sequence.sink.get()
        except asyncio.CancelledError:
            self.abort(sequence)
            raise
        return outcome

    def _submit(self, sequences: list[Sequence]) -> None:
        for sequence in sequences:
            sequence.sink = Mailbox()
        with self._condition:
            self._check_alive()
            self._engine.add(sequences)
            self._open.update(sequences)
            self._condition.notify()

    def _check_alive(self) -> None:
        if self._is_stopping or self._failure:
            raise EngineStoppedError(
                "the engine has stopped; it serves no new text"
            ) from self._failure

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                outcomes = self._engine.step()
                with self._condition:
                    self._open.difference_update(s for s, found in outcomes if is_final(found))
                self._deliver(outcomes)
        except Exception as error:
            self._failure = EngineFailureError(f"a step of the engine broke: {error!r}")
            self._failure.__cause__ = error
        self._end_all(self._failure or EngineStoppedError("the engine was stopped"))

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to stop."""
        with self._condition:
            scheduler = self._engine.scheduler
            self._condition.wait_for(
                lambda: self._is_stopping or self._aborted or scheduler.is_busy
            )
            for sequence in self._aborted:
                self._engine.remove(sequence)
                self._open.discard(sequence)
            self._aborted.clear()
            self._engine.admit()
            return not self._is_stopping

    def _deliver(self, outcomes: Ids[tuple[Sequence, Message]]) -> None:
        """Hand a step's outcomes over, with one call for each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Sequence, Message]]] = defaultdict(list)
        for sequence, message in outcomes:
            by_loop[sequence.sink.loop].append((sequence, message))
        for loop, messages in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_post, messages)

    def _end_all(self, error: EngineError) -> None:
        with self._condition:
            self._is_stopping = True
            still_open = [(sequence, error) for sequence in self._open]
            self._open.clear()
        self._deliver(still_open)


def _post(messages: list[tuple[Sequence, Message]]) -> None:
    for sequence, message in messages:
        sequence.sink.queue.put_nowait(message)
