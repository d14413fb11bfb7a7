"""Documents through the integer form of a model, many at a time: what measuring and fitting a cache read by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Scored
from refrain.inference.operation import Operation
from refrain.inference.operations.scoring import score_ids
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.want import Want
from refrain.models.networks.language_model import LanguageModel

MAX_STEPS = 1 << 10


def score_documents(
    model: LanguageModel,
    documents: Sequence[Sequence[int]],
    eos_id: int,
    *,
    wants_hidden: bool = False,
    on_tokens: Callable[[int], object] = lambda _: None,
) -> Iterator[Scored]:
    """Score each document and the boundary that ends it, on all processors; yield the scores in order.

    Parameters
    ----------
    wants_hidden
        Whether the last layer's state before each token is reported too.
    on_tokens
        Called with the number of tokens that were scored since the last time.
    """
    config = EngineConfig(
        max_queue=len(documents), num_threads=len(os.sched_getaffinity(0)), max_steps=MAX_STEPS
    )
    runner = Int8Runner(Int8LanguageModel(model), config, eos_id=eos_id)
    driver = BlockingDriver(Engine(runner, config))
    want = Want(hidden=wants_hidden)
    return driver.run_all(
        _counted(score_ids([*ids, eos_id], want=want), on_tokens) for ids in documents
    )


def _counted(operation: Operation[Scored], on_tokens: Callable[[int], object]) -> Operation[Scored]:
    """Run a score, and report how many tokens each of its strides has scored."""
    found = None
    while True:
        try:
            work = operation.send(found)
        except StopIteration as end:
            scored: Scored = end.value
            return scored
        found = yield work
        on_tokens(len(found.logprobs))
