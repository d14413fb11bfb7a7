"""What a person sees while documents are measured: a bar on a terminal, else a line every half a minute."""

from __future__ import annotations

import sys
import time

from refrain.training.reporting.progress_bar import progress_bar


class FilterProgress:
    """Counts documents and tokens, and shows them on standard error.

    Parameters
    ----------
    num_bytes
        Of the whole input; None where that is unknown.
    """

    def __init__(self, num_bytes: int | None) -> None:
        self._start = time.monotonic()
        self._bar = progress_bar(total=num_bytes, unit="B", unit_scale=True, leave=False)
        self.num_documents = 0
        self.num_tokens = 0

    def advance(self, position: int, num_tokens: int) -> None:
        """Count a document; `position` is how many bytes of the input have been read."""
        self.num_documents += 1
        self.num_tokens += num_tokens
        self._bar.set_postfix_str(self.speed(), refresh=False)
        self._bar.update(position - self._bar.n)

    def speed(self) -> str:
        """Return how fast it goes, as a person would read it."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self.num_documents / seconds:,.0f} documents/s, {self.num_tokens / seconds:,.0f} tokens/s"

    def report(self, text: str) -> None:
        """Write a line beside the bar."""
        self._bar.clear()
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
