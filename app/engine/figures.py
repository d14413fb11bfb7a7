"""What an engine counts of its work: plain numbers that its own thread writes and any other may read.

No lock, and no more than a few additions for a native call, whichever number of tokens it advances. docs/watching.md
says what each figure means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.engine.histogram import SECONDS, SHORT_SECONDS, SIZES, Histogram
from app.engine.token_rate import TokenRate


@dataclass(slots=True)
class Course:
    """How far one text has come: times of the engine's clock, in seconds, and tokens that have been counted.

    Attributes
    ----------
    entered, opened, first_token, told
        When it was queued, got its first slot, had its first token written, and had tokens told; None for not yet.
    num_known
        Given tokens that a prefix cache had read before.
    num_prompt, num_written
        Given tokens that were read, and tokens that were written, as far as they have been counted.
    """

    entered: float = 0.0
    opened: float | None = None
    first_token: float | None = None
    told: float | None = None
    num_known: int = 0
    num_prompt: int = 0
    num_written: int = 0

    @property
    def queue_seconds(self) -> float | None:
        """How long it waited for its first slot."""
        return None if self.opened is None else self.opened - self.entered

    @property
    def first_token_seconds(self) -> float | None:
        """How long it took from the queue to the first token."""
        return None if self.first_token is None else self.first_token - self.entered


class EngineFigures:
    """The figures of one engine."""

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

    def count_opened(self, course: Course, now: float) -> None:
        """Count a text that gets its first slot; one that comes back to a slot has been counted."""
        if course.opened is None:
            course.opened = now
            self.queue_seconds.count(now - course.entered)

    def count_first_token(self, course: Course, moment: float) -> None:
        """Count a text whose first token was written."""
        course.first_token = moment
        self.first_token_seconds.count(moment - course.entered)

    def count_told(self, messages: Iterable[tuple[Course, int]], now: float) -> None:
        """Count messages of so many tokens each: the time since the one before, in equal parts, one for each token.

        A text's first message counts from the first token on, which has no token before it. Streams that step together
        mostly have the same time behind them, so equal ones are counted at once.
        """
        since, size, times = now, 0, 0
        for course, num_tokens in messages:
            before, course.told = course.told, now
            if before is None:
                before, num_tokens = course.first_token, num_tokens - 1
            if before is None or num_tokens <= 0:
                continue
            if before == since and num_tokens == size:
                times += num_tokens
                continue
            if times:
                self.inter_token_seconds.count((now - since) / size, times)
            since, size, times = before, num_tokens, num_tokens
        if times:
            self.inter_token_seconds.count((now - since) / size, times)
