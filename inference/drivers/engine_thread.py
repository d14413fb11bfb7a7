"""A thread that serves event loops, and how it starts, stops and breaks."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

from refrain.inference.engine.metrics import EngineMetrics, RequestStats
from refrain.inference.errors import EngineError, EngineFailureError, EngineStoppedError


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and where it is noted what that costs.

    Attributes
    ----------
    name
        Callers take turns by it, and see no state but their own.
    """

    name: str = ""
    stats: RequestStats = field(default_factory=RequestStats)


@dataclass(frozen=True)
class Load:
    """How many texts an engine runs and lets wait, and the most that it takes of each."""

    num_running: int
    num_waiting: int
    max_running: int
    max_waiting: int


class EngineThread:
    """What every engine on a thread of its own shares; `_serve` is its work."""

    metrics: EngineMetrics
    """What it has counted of its work; its own thread goes on counting."""

    def __init__(self, name: str) -> None:
        self._condition = threading.Condition()
        # Once nothing more is served, the reason: raised without the frames of those who were refused before.
        self._refusal: EngineError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start_thread(self) -> None:
        """Begin to serve."""
        self._thread.start()

    async def stop(self) -> None:
        """End everything open with EngineStoppedError, and the thread."""
        stopped = EngineStoppedError("the engine has stopped; it serves no new text")
        with self._condition:
            self._refusal = self._refusal or stopped
            self._wake()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    @property
    def is_alive(self) -> bool:
        """Whether it serves: started, and neither stopped nor broken."""
        return self._thread.is_alive() and self._refusal is None

    @property
    def load(self) -> Load:
        """How much there is to do just now."""
        raise NotImplementedError

    def admit(self, num_slots: int) -> None:
        """Check that there is room before any work is done for a request.

        Raises
        ------
        QueueFullError
            If the queue has no room for so many.
        RequestTooLargeError
            If it never will have.
        EngineStoppedError, EngineFailureError
            If the engine has stopped, or broke.
        """
        raise NotImplementedError

    def _serve(self) -> None:
        """Work until it is time to stop."""
        raise NotImplementedError

    def _end_all(self, error: EngineError) -> None:
        """Send everybody who waits the error: nothing more comes."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Have the thread look at what is new; called with the lock."""
        self._condition.notify()

    def _break(self, error: Exception) -> EngineError:
        """Serve nothing from now on; return what broke as it is reported."""
        failure = EngineFailureError.of(error)
        with self._condition:
            self._refusal = failure
            self._wake()
        return failure

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            self._break(error)
        assert self._refusal, "it serves until it is to stop"
        self._end_all(self._refusal)
