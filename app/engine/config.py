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
    block_width
        Tokens that a sequence with much unread text reads in one step.
    max_block_rows
        Sequences that read a block in one step: what a running stream waits for at most.
    row_tile
        Rows of every matrix product; fewer are filled up, more are cut, so that a row's numbers do not depend on
        how many rows share its step.
    """

    max_slots: int = 64
    max_queue: int = 256
    block_width: int = 32
    max_block_rows: int = 16
    row_tile: int = 16
