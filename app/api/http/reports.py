"""What is kept of each request that is over: counts and latencies for metrics, and a line of the access log.

No word of a text gets into either.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from refrain.app.api.http.edge import Finished
from refrain.app.log_format import REQUESTS
from refrain.inference.engine.counters import SECONDS, Histogram

logger = logging.getLogger(REQUESTS)
FINISH_REASONS = ("stop", "length", "abort")


class RequestCounts:
    """How many requests of one app were answered or failed, and how long they took, by model.

    Written and read on the event loop.

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
        models = finished.stats.models
        if finished.ending == "failed":
            self.failures[models[-1] if models else "", finished.error] += 1
            return
        for model in models:
            self.successes[model, finished.finish_reason] += 1
            if finished.ending == "answered":
                self.latencies[model].count(finished.seconds)


def log_request(finished: Finished) -> None:
    """Write a request's line of the access log, with what it cost as fields."""
    if not logger.isEnabledFor(logging.INFO):
        return
    stats = finished.stats
    fields: dict[str, object] = {
        "request_id": finished.request_id,
        "method": finished.method,
        "route": finished.route,
        "status": finished.status,
        "ending": finished.ending,
        "duration_seconds": round(finished.seconds, 6),
    }
    if stats.models:
        fields |= {
            "model": ",".join(stats.models),
            "prompt_tokens": stats.num_prompt,
            "generation_tokens": stats.num_written,
            "queue_seconds": round(stats.queue_seconds, 6),
        }
    if stats.models and finished.ending != "failed":
        fields["finish_reason"] = finished.finish_reason
    if stats.first_token_seconds is not None:
        fields["first_token_seconds"] = round(stats.first_token_seconds, 6)
    if finished.error:
        fields["error"] = finished.error
    line = f"{finished.method} {finished.route or '-'} {finished.status}"
    logger.info("%s in %.1f ms", line, 1e3 * finished.seconds, extra={"fields": fields})
