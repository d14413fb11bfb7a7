"""The limits of one engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineConfig:
    """Limits of an engine.

    Attributes
    ----------
    max_slots
        Sequences that advance together.
    max_queue
        Sequences that may wait for a slot; more are refused.
    num_threads
        Threads that share a step.
    max_steps
        Steps that may follow one another before the engine looks at what is new, if nothing else ends them: a
        finished text, a new one, a caller who left, a stream whose reader is ready for more.
    prefix_cache_bytes
        Memory for the states of texts that were read before; 0 for none.
    time_slice
        Tokens after which a text may be preempted, if somebody of another caller with fewer slots waits for one.
    row_tile, block_width, max_block_rows
        Of the runner that works with torch. Rows of every matrix product: fewer are filled up, more are cut, so that a
        row's numbers do not depend on how many rows share its step. Tokens that a sequence with much unread text
        reads at once, and how many sequences do so in one step.
    """

    max_slots: int = 64
    max_queue: int = 256
    num_threads: int = 1
    max_steps: int = 64
    prefix_cache_bytes: int = 0
    time_slice: int = 256
    row_tile: int = 16
    block_width: int = 32
    max_block_rows: int = 16
