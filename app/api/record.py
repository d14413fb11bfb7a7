"""What one request has cost and how it went: made at the edge of the application, and read there when it is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from starlette.types import Scope

from inference.engine.metrics import RequestStats


@dataclass
class RequestRecord:
    """One request, written on its event loop alone.

    Attributes
    ----------
    stats
        What its texts have cost; drivers add to it.
    error
        The code of the refusal or fault that it ended with.
    started
        When it began, by `time.perf_counter`.
    is_finished
        Whether its end has been reported.
    """

    stats: RequestStats = field(default_factory=RequestStats)
    error: str = ""
    started: float = field(default_factory=time.perf_counter)
    is_finished: bool = False


def record_of(scope: Scope) -> RequestRecord:
    """Return the record of a request, which begins with whoever asks for it first."""
    state = scope.setdefault("state", {})
    if "record" not in state:
        state["record"] = RequestRecord()
    record: RequestRecord = state["record"]
    return record
