"""The run log: one JSON object a line, appended as the run goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class RunLog:
    """A JSON-lines file of what happened at which step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def start_over(self, *, keep_until: int) -> None:
        """Drop the events after a step: a resumed run writes them again."""
        if not self._path.exists():
            return
        events = [json.loads(line) for line in self._path.read_text("utf-8").splitlines() if line]
        kept = [event for event in events if event.get("step", 0) <= keep_until]
        self._path.write_text("".join(_line(event) for event in kept), "utf-8")

    def write(self, event: str, **values: Any) -> None:
        """Append one event."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line({"event": event, **values}))


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"
