"""What it costs an engine to count its work: the same texts by an engine that counts and by one that does not.

    python -m benchmarks.counting [--checkpoint checkpoints/tang]

Both sides alternate in one process, on one thread, and are measured by that thread's own processor time, so that other
work on the machine weighs on neither. Streams are the worst case: every token of every text is a message.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import median, save, table
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.counters import Histogram
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.metrics import EngineMetrics, Timings
from refrain.inference.engine.request import Request
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.models.checkpoint import load_checkpoint
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.networks.language_model import LanguageModel

TOKENS = 64
REPEATS = 21


class NoHistogram(Histogram):
    """Counts nothing."""

    def count(self, value: float, times: int = 1) -> None:
        """Count nothing."""


class NoMetrics(EngineMetrics):
    """Counts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.queue_seconds = NoHistogram(())

    def count_sent(self, messages: Iterable[tuple[Timings, int]], now: float) -> None:
        """Count nothing."""


class UncountedEngine(Engine):
    """An engine that only works."""

    def __init__(self, runner: Int8Runner, config: EngineConfig) -> None:
        super().__init__(runner, config, clock=float)
        self.metrics = NoMetrics()

    def _run(self, rows: list[Sequence], max_steps: int) -> float:
        self._runner.run(rows, max_steps)
        return 0.0

    def _count_tokens(self, sequences: Iterable[Sequence], now: float) -> None:
        pass


def seconds_of(engine: Engine, num_rows: int, *, is_streamed: bool) -> float:
    """Time whole texts of 64 tokens, in seconds of the processor."""
    requests = [
        Request(
            Purpose.GENERATE,
            [],
            sampling=SamplingParams(seed=row, max_tokens=TOKENS, ignore_eos=True),
            is_streamed=is_streamed,
        )
        for row in range(num_rows)
    ]
    start = time.thread_time()
    engine.add([engine.sequence(request) for request in requests])
    num_done = 0
    while engine.scheduler.num_taken:
        engine.admit()
        num_done += sum(result.finish_reason is not None for _, result in engine.step())
    assert num_done == num_rows
    return time.thread_time() - start


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/tang"))
    options = parser.parse_args()
    model = load_checkpoint(options.checkpoint).model
    assert isinstance(model, LanguageModel)
    network, config = Int8LanguageModel(model), EngineConfig(num_threads=1)
    runner = Int8Runner(network, config, eos_id=1)  # of both, so that their memory is one
    engines = [kind(runner, config) for kind in (Engine, UncountedEngine)]
    rows = []
    for name, num_rows, is_streamed in (
        ("whole texts", 1, False),
        ("whole texts", 64, False),
        ("streams", 1, True),
        ("streams", 64, True),
    ):
        found: list[list[float]] = []
        repeats = REPEATS if num_rows > 1 else 10 * REPEATS
        for repeat in range(repeats + 2):
            order = engines if repeat % 2 else engines[::-1]
            times = {
                engine: seconds_of(engine, num_rows, is_streamed=is_streamed) for engine in order
            }
            found.append([times[engine] for engine in engines])
        counted, plain = (median(column) for column in zip(*found[2:], strict=True))
        ratio = median([with_ / without for with_, without in found[2:]])
        steps = [f"{1e6 * seconds / TOKENS:.1f}" for seconds in (plain, counted)]
        rows.append([name, num_rows, *steps, f"{ratio:.3f}"])
    header = ["texts", "rows", "a step without, µs", "a step with, µs", "with / without"]
    text = (
        f"Model `{options.checkpoint.name}`, one thread, texts of {TOKENS} tokens; medians of {REPEATS} "
        "(of one row ten times as many), sides alternating, processor time. The last column is the median of the "
        "ratios of neighbours."
    )
    save("counting", "What counting costs", text, table(header, rows))


if __name__ == "__main__":
    main()
