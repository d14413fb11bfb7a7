"""Which failures are worth another try, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from refrain.client.contract.routes import Call
from refrain.client.errors import ClientError, ConnectionFailedError, OverloadedError


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently to try again.

    A connection that failed is tried again, if the request cannot have been served or may as well be served twice; so
    is a refusal with `Retry-After`. A stream that has begun never is.

    Attributes
    ----------
    max_retries
        Tries after the first; 0 for none.
    first_wait, longest_wait
        Seconds before the second try, doubled with every further one up to the longest. A server that asks for more
        than the longest is not asked again.
    longest_total
        Seconds since the first try after which none is begun.
    random
        Returns a number from 0 to 1: half of every wait is random, so that many clients do not come back at once.
    """

    max_retries: int = 3
    first_wait: float = 0.25
    longest_wait: float = 8.0
    longest_total: float = 60.0
    random: Callable[[], float] = random.random

    def wait_after(self, error: ClientError, num_tries: int) -> float | None:
        """Return the seconds to wait after so many tries; None where no other is worth while."""
        if num_tries > self.max_retries:
            return None
        wait = min(self.longest_wait, self.first_wait * 2 ** (num_tries - 1))
        wait *= (1 + self.random()) / 2
        asked = error.retry_after if isinstance(error, OverloadedError) else None
        wait = max(wait, asked or 0)
        return wait if wait <= self.longest_wait else None


USUAL = Retries()


class Attempts:
    """The tries of one call."""

    def __init__(
        self,
        retries: Retries,
        call: Call[object],
        clock: Callable[[], float],
        *,
        is_replayable: bool,
    ) -> None:
        self._retries = retries
        self._call = call
        self._clock = clock
        self._is_replayable = is_replayable
        self._begun = clock()
        self._num_tries = 0

    def wait_after(self, error: ClientError) -> float:
        """Return the seconds to wait before the next try.

        Raises
        ------
        ClientError
            The error itself, if there should be none.
        """
        self._num_tries += 1
        wait = self._retries.wait_after(error, self._num_tries) if self._may_mend(error) else None
        if wait is None or self._clock() - self._begun + wait > self._retries.longest_total:
            raise error
        return wait

    def _may_mend(self, error: ClientError) -> bool:
        if not self._call.route.is_retried:
            return False
        if isinstance(error, ConnectionFailedError):
            return not error.was_sent or (self._is_replayable and self._call.route.is_pure)
        is_refusal = isinstance(error, OverloadedError) and error.retry_after is not None
        return is_refusal and self._is_replayable
