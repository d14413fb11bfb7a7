"""Several processes that train one model, as `torchrun` starts them: each reads some rows of every window.

Everything stands on one operation, the sum of what all have: of gradients, losses, wishes, and recurrent states. Sums
are the same bits everywhere, so that weights never drift apart. A process on its own is a sum of one.

Shapes: B rows, T times, C components, H width of a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from refrain.models.state import RecurrentState
from refrain.training.optimize.precision import Precision, choose_device, choose_precision

TIMEOUT = timedelta(days=1)
"""How long to wait for another process, which may be turning a long text to tokens."""


@dataclass(frozen=True)
class World:
    """One process among `size`; rank 0 reports and writes for all.

    Attributes
    ----------
    device_name
        What this process computes on: "cpu", "cuda", or "auto" for CUDA where there is one.
    """

    rank: int = 0
    size: int = 1
    device_name: str = "auto"

    @property
    def device(self) -> torch.device:
        """What this process computes on.

        Raises
        ------
        RecipeError
            If CUDA is asked for, and there is none.
        """
        return choose_device(self.device_name)

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process reports and writes for all."""
        return self.rank == 0

    def shard(self, num_rows: int) -> slice:
        """Return this process's share of so many rows: a slice of them, none or more."""
        return slice(
            num_rows * self.rank // self.size,
            num_rows * (self.rank + 1) // self.size,
        )

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.size > 1:
            works = [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]
            for work in works:
                work.wait()

    def total(self, *numbers: float) -> tuple[float, ...]:
        """Return the sum of each number over all processes."""
        tensor = torch.tensor(numbers, dtype=torch.float64)
        self.sum_([tensor])
        return tuple(tensor.tolist())

    def any_of(self, *wishes: bool) -> tuple[bool, ...]:
        """Return for each wish whether any process has it."""
        return tuple(number > 0 for number in self.total(*map(float, wishes)))

    def barrier(self) -> None:
        """Wait until all have come here."""
        self.total(0.0)

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Hold the other processes back until rank 0 has done what is inside."""
        if not self.is_rank_zero:
            self.barrier()
        try:
            yield
        finally:
            if self.is_rank_zero:
                self.barrier()

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum gradients; a process without rows may have none, which is zero."""
        if self.size == 1:
            return
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        self.sum_(gradients)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by that of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def gather_state(self, state: RecurrentState | None) -> RecurrentState | None:
        """Return the state of the rows of all processes, in order."""
        if state is None or self.size == 1:
            return state
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = state.num_rows
        self.sum_([counts])
        first = int(counts[: self.rank].sum())
        layers = []
        for layer_CBH in state.layers:
            num_components, num_rows, size = layer_CBH.shape
            whole_CBH = layer_CBH.new_zeros(num_components, int(counts.sum()), size)
            whole_CBH[:, first : first + num_rows] = layer_CBH
            layers.append(whole_CBH)
        self.sum_(layers)
        return RecurrentState(tuple(layers))

    def shard_state(self, state: RecurrentState | None) -> RecurrentState | None:
        """Return this process's rows of what was gathered, by as many processes as there are or by others."""
        if state is None or self.size == 1:
            return state
        rows = self.shard(state.num_rows)
        return RecurrentState(tuple(layer[:, rows].contiguous() for layer in state.layers))


SINGLE_PROCESS = World()


def agreed_precision(device: torch.device, asked: str, world: World) -> Precision:
    """Return the precision that rank 0 chooses."""
    chosen = choose_precision(device, asked)
    (is_bfloat16,) = world.any_of(world.is_rank_zero and chosen == "bfloat16")
    return "bfloat16" if is_bfloat16 else "float32"


@contextmanager
def joined_world(device_name: str) -> Iterator[World]:
    """Join the other processes of a run, if `torchrun` started this one: through gloo, on CUDA devices through NCCL."""
    if not distributed.is_torchelastic_launched():
        yield World(device_name=device_name)
        return
    has_cuda = choose_device(device_name).type == "cuda"
    if has_cuda:
        torch.cuda.set_device(distributed.get_node_local_rank())
    distributed.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo", timeout=TIMEOUT)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), device_name)
    finally:
        distributed.destroy_process_group()
