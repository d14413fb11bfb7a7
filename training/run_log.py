"""The run log: one JSON object a line, appended as the run goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class RunLog:
    """A JSON-lines file of what happened at which step; of several processes only one keeps it."""

    def __init__(self, path: Path, *, is_kept: bool = True) -> None:
        self._path = path
        self._is_kept = is_kept
        path.parent.mkdir(parents=True, exist_ok=True)

    def start_over(self, *, keep_until: int) -> None:
        """Drop the events after a step: a resumed run writes them again."""
        if not self._is_kept or not self._path.exists():
            return
        events = map(_read, self._path.read_text("utf-8").splitlines())
        kept = [event for event in events if event and event.get("step", 0) <= keep_until]
        self._path.write_text("".join(_line(event) for event in kept), "utf-8")

    def clear(self) -> None:
        """Drop everything: the run begins."""
        if self._is_kept:
            self._path.unlink(missing_ok=True)

    def write(self, event: str, **values: Any) -> None:
        """Append one event."""
        if self._is_kept:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line({"event": event, **values}))


def _read(line: str) -> dict[str, Any] | None:
    """Read one line; None for one that a kill has cut."""
    try:
        event: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"
