"""Texts through the integer form of a model, many at a time: what measuring and fitting a cache read by."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from models.int8 import Int8LanguageModel
from models.native.sequence import CacheView, NativeSequence, SequenceList
from models.native.structures import Purpose, Status
from models.native.workspace import Workspace

MAX_STEPS = 1 << 10


def scored_texts(
    model: Int8LanguageModel,
    texts: Sequence[Sequence[int]],
    *,
    boundary_id: int,
    cache: CacheView | None = None,
    num_rows: int = 64,
) -> Iterator[tuple[int, NativeSequence]]:
    """Score each text and the boundary that ends it, and give it with its number, without ranks.

    With a cache, an empty one too, hidden states are told.

    Texts come back as they are finished, short ones before long ones. No more than `num_rows` are held at a time. A
    terminal shows a bar where it takes a while.
    """
    workspace = Workspace(
        vocab_size=model.vocab_size,
        boundary_id=boundary_id,
        max_rows=num_rows,
        num_threads=len(os.sched_getaffinity(0)),
        network=model.struct,
    )
    slots = np.zeros((num_rows, model.layout.num_bytes), np.uint8)
    free = list(range(num_rows))
    running: dict[int, tuple[int, NativeSequence]] = {}
    waiting = enumerate(texts)
    num_tokens = sum(map(len, texts)) + len(texts)
    with tqdm(None, "scoring", num_tokens, unit="token", leave=False, delay=2, disable=None) as bar:
        while True:
            while free and (item := next(waiting, None)) is not None:
                number, ids = item
                slot = free.pop()
                tokens = [boundary_id, *ids, boundary_id]
                sequence = NativeSequence(
                    Purpose.SCORE,
                    tokens,
                    vocab_size=model.vocab_size,
                    cache=cache,
                    wants_ranks=False,
                )
                model.layout.clear(slots[slot])
                sequence.struct.slot = slots[slot].ctypes.data
                running[slot] = (number, sequence)
            if not running:
                return
            under_way = SequenceList([sequence for _, sequence in running.values()])
            bar.update(len(running) * workspace.run(under_way, MAX_STEPS))
            for slot, (number, sequence) in list(running.items()):
                if sequence.status is Status.ANSWERED:
                    yield number, sequence
                    del running[slot]
                    free.append(slot)
