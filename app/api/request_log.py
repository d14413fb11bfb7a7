"""One line a request: what was asked of what, how it went and how long it took; never a word of a text."""

from __future__ import annotations

import logging

from app.api.watch import Finished
from app.log_format import REQUESTS

logger = logging.getLogger(REQUESTS)


def log_request(finished: Finished) -> None:
    """Write a request's line, with its figures as fields of their own."""
    if not logger.isEnabledFor(logging.INFO):
        return
    tally = finished.tally
    fields: dict[str, object] = {
        "request_id": finished.request_id,
        "method": finished.method,
        "route": finished.route,
        "status": finished.status,
        "ending": finished.ending,
        "duration_seconds": round(finished.seconds, 6),
    }
    if tally.models:
        fields |= {
            "model": ",".join(tally.models),
            "prompt_tokens": tally.num_prompt,
            "generation_tokens": tally.num_written,
            "queue_seconds": round(tally.queue_seconds, 6),
        }
    if tally.models and finished.ending != "failed":
        fields["finish_reason"] = finished.finish_reason
    if tally.first_token_seconds is not None:
        fields["first_token_seconds"] = round(tally.first_token_seconds, 6)
    if tally.error:
        fields["error"] = tally.error
    line = f"{finished.method} {finished.route or '-'} {finished.status}"
    logger.info("%s in %.1f ms", line, 1e3 * finished.seconds, extra={"fields": fields})
