"""What one request has cost and how it went, whichever texts and engines it took: for logs and traces.

The request's own context carries it from the edge, which begins it, to the engines, which add to it; nobody in between
need hand it on. Where no request has begun one, what is added is lost.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from app.engine.figures import Course


@dataclass
class Tally:
    """Figures of one request, written on its event loop alone.

    Attributes
    ----------
    models
        Names of the models that it asked, each once; the last one asked is at the end.
    num_prompt, num_written
        Tokens that engines read and wrote for it.
    queue_seconds
        The longest that one of its texts waited for a slot.
    first_token_seconds
        From a text's entering the queue to its first token, of the quickest; None where nothing was written.
    finish_reasons
        Why its texts ended.
    error
        The code of the refusal or fault that it ended with.
    """

    models: list[str] = field(default_factory=list)
    num_prompt: int = 0
    num_written: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float | None = None
    finish_reasons: set[str] = field(default_factory=set)
    error: str = ""

    def ask(self, model: str) -> None:
        """Note the model that is asked from here on."""
        if model in self.models:
            self.models.remove(model)
        self.models.append(model)

    def add(self, course: Course, num_prompt: int, num_written: int) -> None:
        """Add a text that is done, or left."""
        self.num_prompt += num_prompt
        self.num_written += num_written
        self.queue_seconds = max(self.queue_seconds, course.queue_seconds or 0.0)
        first = course.first_token_seconds
        if first is not None:
            before = self.first_token_seconds
            self.first_token_seconds = first if before is None else min(before, first)


_CURRENT: ContextVar[Tally | None] = ContextVar("tally", default=None)


def begin() -> Tally:
    """Begin the tally of the request that this context serves."""
    tally = Tally()
    _CURRENT.set(tally)
    return tally


def current() -> Tally:
    """Give the tally of the request at hand; one that nobody reads where there is none."""
    return _CURRENT.get() or Tally()
