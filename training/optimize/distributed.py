"""Several processes that train one model, as `torchrun` starts them: each reads some rows of every window.

Everything stands on one operation, the sum of what all have: of gradients, losses, wishes, and recurrent states. Sums
are the same bits everywhere, so that weights never drift apart. A process on its own is a sum of one.

Shapes: B rows, T times, C components, H width of a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed

from refrain.models.state import RecurrentState
from refrain.training.data.batches import IGNORED, Window, WindowSource
from refrain.training.optimize.precision import Precision, choose_device, choose_precision

PATIENCE = timedelta(days=1)
"""How long to wait for another process, which may be turning a long text to tokens."""


@dataclass(frozen=True)
class Processes:
    """One process among `size`; the first, of rank 0, speaks and writes for all.

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
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def rows(self, num_rows: int) -> slice:
        """Return this process's share of so many rows: its place among them, none or more."""
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

    def wait(self) -> None:
        """Wait until all have come here."""
        self.total(0.0)

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Hold the other processes back until the first one has done what is inside."""
        if not self.is_first:
            self.wait()
        try:
            yield
        finally:
            if self.is_first:
                self.wait()

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

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by what the first process has."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def gathered(self, state: RecurrentState | None) -> RecurrentState | None:
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

    def own(self, state: RecurrentState | None) -> RecurrentState | None:
        """Return this process's rows of what was gathered, by as many processes as there are or by others."""
        if state is None or self.size == 1:
            return state
        rows = self.rows(state.num_rows)
        return RecurrentState(tuple(layer[:, rows].contiguous() for layer in state.layers))


ALONE = Processes()


def agreed_precision(device: torch.device, asked: str, processes: Processes) -> Precision:
    """Return what the first process chooses to compute in."""
    chosen = choose_precision(device, asked)
    (is_bfloat16,) = processes.any_of(processes.is_first and chosen == "bfloat16")
    return "bfloat16" if is_bfloat16 else "float32"


@contextmanager
def joined_processes(device_name: str) -> Iterator[Processes]:
    """Join the other processes of a run, if `torchrun` started this one: through gloo, on CUDA devices through NCCL."""
    if not distributed.is_torchelastic_launched():
        yield Processes(device_name=device_name)
        return
    has_cuda = choose_device(device_name).type == "cuda"
    if has_cuda:
        torch.cuda.set_device(distributed.get_node_local_rank())
    distributed.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device_name)
    finally:
        distributed.destroy_process_group()


class OwnWindows:
    """The windows of a source, of each the rows of this process.

    Parameters
    ----------
    seed
        For training: what the dropout of all processes but the first is drawn from, with the place in the epoch, so
        that masks differ between processes, and a snapshot need not hold the generator of each.
    """

    def __init__(self, source: WindowSource, processes: Processes, seed: int | None = None) -> None:
        self._source = source
        self._processes = processes
        self._seed = seed
        self.num_windows = source.num_windows

    def epoch(self, number: int) -> Iterator[Window]:
        """Yield this process's share of the windows of an epoch; one may have no rows."""
        rank = self._processes.rank
        for place, window in enumerate(self._source.epoch(number)):
            if self._seed is not None and rank:
                entropy = np.random.SeedSequence((self._seed, rank, number, place))
                torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))
            yield own_rows(window, self._processes)


def own_rows(window: Window, processes: Processes) -> Window:
    """Return this process's rows of a window, and what share of its targets and rows they are."""
    rows = processes.rows(len(window.inputs_BT))
    targets_BT = window.targets_BT[rows]
    num_targets = int((window.targets_BT != IGNORED).sum())
    return replace(
        window,
        inputs_BT=window.inputs_BT[rows],
        targets_BT=targets_BT,
        starts_B=window.starts_B[rows],
        target_share=int((targets_BT != IGNORED).sum()) / num_targets,
        row_share=len(targets_BT) / len(window.targets_BT),
    )
