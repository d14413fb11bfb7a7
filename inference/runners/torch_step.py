"""One rectangle of a torch model's steps, from slots to slots: as it is, or captured in a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from refrain.inference.runners.state_pool import StatePool

WARM_UPS = 3


Step = Callable[[Tensor, Tensor], Tensor]
"""Reads tokens_RT into slots_R and returns features_RTF; both shapes are always the same."""


class CapturedStep:
    """Replays the operations of one shape of tokens_RT as a CUDA graph: one launch in place of dozens.

    Its inputs and outputs stand at fixed places in memory, so an output holds until the next step.
    """

    def __init__(self, pool: StatePool, num_rows: int, width: int) -> None:
        self._tokens_RT = torch.zeros(num_rows, width, dtype=torch.int64, device="cuda")
        self._slots_R = torch.full((num_rows,), pool.spare, dtype=torch.int64, device="cuda")
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                pool.step(self._tokens_RT, self._slots_R)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._features_RTF = pool.step(self._tokens_RT, self._slots_R)

    def __call__(self, tokens_RT: Tensor, slots_R: Tensor) -> Tensor:
        """Advance."""
        self._tokens_RT.copy_(tokens_RT)
        self._slots_R.copy_(slots_R)
        self._graph.replay()
        return self._features_RTF


def make_step(pool: StatePool, num_rows: int, width: int) -> Step:
    """Make the step of one shape: captured where the model's memory is on a CUDA device."""
    if pool.device.type != "cuda":
        return pool.step
    with torch.inference_mode():
        return CapturedStep(pool, num_rows, width)
