"""How many requests were answered or failed, and how long they took; written and read on the event loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from app.api.watch import Finished
from app.engine.histogram import SECONDS, Histogram

FINISH_REASONS = ("stop", "length", "abort")


class RequestFigures:
    """The figures of one app, by model.

    Parameters
    ----------
    models
        Names of the loaded models.
    codes
        Codes of all refusals and faults. Every pair of both begins at 0: a rate cannot see a counter's first step if
        the counter begins with it.
    """

    def __init__(self, models: Iterable[str], codes: Iterable[str]) -> None:
        self._models = tuple(models)
        self.successes = Counter({(m, r): 0 for m in self._models for r in FINISH_REASONS})
        self.failures = Counter({(m, code): 0 for m in (*self._models, "") for code in codes})
        self.latencies = {model: Histogram(SECONDS) for model in self._models}

    def count(self, finished: Finished) -> None:
        """Count a request: a failed one at the model asked last, or at none; any other at each model that it asked."""
        models = finished.tally.models
        if finished.ending == "failed":
            self.failures[models[-1] if models else "", finished.tally.error] += 1
            return
        for model in models:
            self.successes[model, finished.finish_reason] += 1
            if finished.ending == "answered":
                self.latencies[model].count(finished.seconds)
