"""The format of log lines: plain, or an object of JSON each; and that no text of a caller gets into them.

Messages of our own quote no text. Messages of exceptions may, whoever raised them, so that of an exception its types
and where it was raised are written, and nothing else.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["json", "text"]
REQUESTS = "refrain.requests"
"""The logger of one line a request."""


class TextFormatter(logging.Formatter):
    """Plain lines: a level and a message."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record = copy(record)
        record.msg, record.args = message_of(record), None
        record.exc_text = None  # what another formatter may have left there
        return super().format(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - its name in the library
        assert isinstance(ei, tuple)
        return locations_of(ei[1])


class JSONFormatter(logging.Formatter):
    """One object a line; what a record's `fields` has stands beside time, level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = locations_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; of asyncio's only its beginning, for values of the program follow."""
    message = record.getMessage()
    if record.name == "asyncio":
        message = message.partition("\n")[0].partition("(")[0]
    return message


def locations_of(error: BaseException | None) -> str:
    """Return the types of an exception and of what caused it, and where each was raised; no message."""
    return "".join(_lines_of(error, set())).rstrip("\n")


def _lines_of(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield from _lines_of(error.__cause__ or error.__context__, seen)
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"
    for each in getattr(error, "exceptions", ()):  # a group's
        yield from _lines_of(each, seen)


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Make every logger of the process write to standard error in one format.

    Requests have a line each as JSON; plain lines of them come at the level "debug".
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(log_format == "json")
    is_wanted = log_format == "json" or level == "debug"
    logging.getLogger(REQUESTS).setLevel(logging.INFO if is_wanted else logging.WARNING)
