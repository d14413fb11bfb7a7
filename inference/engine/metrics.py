"""What an engine counts of its work: plain numbers that its own thread writes and any other may read.

No lock, and no more than a few additions for a native call, whichever number of tokens it advances. docs/watching.md
explains each metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from refrain.inference.engine.counters import SECONDS, SHORT_SECONDS, SIZES, Histogram, TokenRate


@dataclass(slots=True)
class Timings:
    """How far one text has come: times of the engine's clock, in seconds, and tokens that have been counted.

    Attributes
    ----------
    entered, opened, first_token, sent
        When it was queued, got its first slot, had its first token written, and had tokens reported; None for not yet.
    num_known
        Given tokens that a prefix cache had read before.
    num_prompt, num_written
        Given tokens that were read, and tokens that were written, as far as they have been counted.
    """

    entered: float = 0.0
    opened: float | None = None
    first_token: float | None = None
    sent: float | None = None
    num_known: int = 0
    num_prompt: int = 0
    num_written: int = 0


class EngineMetrics:
    """The metrics of one engine."""

    def __init__(self) -> None:
        self.num_prompt = 0
        self.num_written = 0
        self.batch_size = Histogram(SIZES)
        self.step_seconds = Histogram(SHORT_SECONDS)
        self.queue_seconds = Histogram(SECONDS)
        self.first_token_seconds = Histogram(SECONDS)
        self.inter_token_seconds = Histogram(SHORT_SECONDS)
        self.token_rate = TokenRate()

    def count_steps(self, num_rows: int, num_steps: int, seconds: float) -> None:
        """Count the steps of one call, which took so long together and had all the same rows."""
        if num_steps:
            self.batch_size.count(num_rows, num_steps)
            self.step_seconds.count(seconds / num_steps, num_steps)

    def count_tokens(self, num_prompt: int, num_written: int, now: float) -> None:
        """Count tokens that were read and written since the last time."""
        self.num_prompt += num_prompt
        self.num_written += num_written
        self.token_rate.count(num_prompt + num_written, now)

    def count_sent(self, messages: Iterable[tuple[Timings, int]], now: float) -> None:
        """Count messages of so many tokens each: the time since the one before, in equal parts, one for each token.

        A text's first message counts from the first token on, which has no token before it. Streams that step together
        mostly have the same time behind them, so equal ones are counted at once.
        """
        alike: Counter[tuple[float, int]] = Counter()
        for timings, num_tokens in messages:
            before, timings.sent = timings.sent, now
            if before is None:
                before, num_tokens = timings.first_token, num_tokens - 1
            if before is not None and num_tokens > 0:
                alike[before, num_tokens] += num_tokens
        for (before, num_tokens), times in alike.items():
            self.inter_token_seconds.count((now - before) / num_tokens, times)


@dataclass
class RequestStats:
    """What the texts of one request have cost, and how they ended; whoever asks makes one and hands it to a driver.

    Attributes
    ----------
    models
        Names of the models that were asked, each once; the last one asked is at the end.
    num_prompt, num_written
        Tokens that engines read and wrote for it.
    queue_seconds
        The longest that one of its texts waited for a slot.
    first_token_seconds
        From a text's entering the queue to its first token, of the quickest; None where nothing was written.
    finish_reasons
        Why its texts ended.
    """

    models: list[str] = field(default_factory=list)
    num_prompt: int = 0
    num_written: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float | None = None
    finish_reasons: set[str] = field(default_factory=set)

    def note_model(self, name: str) -> None:
        """Note the model that is asked from here on."""
        if name in self.models:
            self.models.remove(name)
        self.models.append(name)

    def add(self, timings: Timings, num_prompt: int, num_written: int) -> None:
        """Add a text that is done, or left."""
        self.num_prompt += num_prompt
        self.num_written += num_written
        if timings.opened is not None:
            self.queue_seconds = max(self.queue_seconds, timings.opened - timings.entered)
        if timings.first_token is not None:
            first, before = timings.first_token - timings.entered, self.first_token_seconds
            self.first_token_seconds = first if before is None else min(before, first)
