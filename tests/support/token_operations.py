"""Operations over token ids alone, for drivers to run: no tokenizer, no text model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from refrain.inference.engine.metrics import RequestStats, Timings
from refrain.inference.engine.request import Predicted, Request, Written
from refrain.inference.operation import MORE, Delta, Operation, predicted
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.fake_runner import BREAKING, GATED

ENDLESS = SamplingParams(
    seed=1,
    max_tokens=10**6,
    ignore_eos=True,
    logit_bias=tuple((token_id, -math.inf) for token_id in (GATED, BREAKING)),
)
"""Write for ever, and none of the tokens at which a fake runner may wait or break."""


def up_to(max_tokens: int, seed: int = 1) -> SamplingParams:
    """Write so many tokens, as `ENDLESS` does."""
    return replace(ENDLESS, max_tokens=max_tokens, seed=seed)


def write(
    ids: Sequence[int], sampling: SamplingParams, *, is_streamed: bool = True, index: int = 0
) -> Operation[list[int]]:
    """Write tokens, with a delta for each result that names them."""
    token_ids: list[int] = []
    request = Request(Purpose.GENERATE, ids, sampling=sampling, is_streamed=is_streamed)
    written = yield request
    while True:
        assert isinstance(written, Written)
        token_ids += written.token_ids
        yield Delta(index, " ".join(map(str, written.token_ids)), written.finish_reason)
        if written.finish_reason:
            return token_ids
        written = yield MORE


def predict(ids: Sequence[int]) -> Operation[Predicted]:
    """Predict the next token."""
    return predicted(Request(Purpose.PREDICT, ids))


def ids_of(deltas: Iterable[Delta]) -> list[int]:
    """Return the tokens that deltas of `write` name."""
    return [token_id for delta in deltas for token_id in map(int, delta.text.split())]


class CountedStats(RequestStats):
    """Statistics that know how many texts they were told of."""

    def __init__(self) -> None:
        super().__init__()
        self.num_texts = 0

    def add(self, timings: Timings, num_prompt: int, num_written: int) -> None:
        self.num_texts += 1
        super().add(timings, num_prompt, num_written)
