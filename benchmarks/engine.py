"""How near the engine comes to its own matrix products, without HTTP.

    python -m benchmarks.engine [--checkpoint checkpoints/tang]

Products: the int8 matrix products of a step and nothing else, by the same kernel and threads. Step: the native call,
with gates, log-probabilities and sampling. Engine: scheduling, slots and results too, on one thread as the service has
it. torch: the same weights in torch's own `nn.LSTM`, fp32, with `torch.multinomial`, as tutorials do, in a batch.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch

from benchmarks.report import median, save, table
from benchmarks.servers.tutorial import TorchModel
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.models.checkpoint import load_checkpoint
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.workspace import SequenceList, Workspace
from refrain.models.networks.language_model import LanguageModel

ROWS = (1, 8, 64, 256)
TOKENS = 64
REPEATS = 9


def sampling_of(seed: int) -> SamplingParams:
    """Return how a text of 64 tokens is drawn."""
    return SamplingParams(seed=seed, max_tokens=TOKENS, ignore_eos=True)


def products_and_step(
    network: Int8LanguageModel, num_rows: int, num_threads: int
) -> tuple[float, float]:
    """Time a step's products and a whole native step, in seconds."""
    workspace = Workspace(
        vocab_size=network.vocab_size,
        eos_id=1,
        max_rows=num_rows,
        num_threads=num_threads,
        network=network.struct,
    )
    slots = torch.zeros(num_rows, network.layout.num_bytes, dtype=torch.uint8).numpy()
    shape = ModelShape(network.vocab_size, eos_id=1)
    sequences = []
    for row in range(num_rows):
        sequence = NativeSequence(Purpose.GENERATE, [1], shape, sampling=sampling_of(row))
        network.layout.clear(slots[row])
        sequence.struct.slot = slots[row].ctypes.data
        sequences.append(sequence)
    listed = SequenceList(sequences)
    start = time.perf_counter()
    workspace.products(listed, TOKENS)
    products = (time.perf_counter() - start) / TOKENS
    start = time.perf_counter()
    num_steps = workspace.run(listed, TOKENS)
    return products, (time.perf_counter() - start) / num_steps


def engine_seconds(network: Int8LanguageModel, num_rows: int, num_threads: int) -> float:
    """Time a step of the engine over whole texts of 64 tokens, everything counted."""
    config = EngineConfig(max_slots=num_rows, num_threads=num_threads)
    engine = Engine(Int8Runner(network, config, eos_id=1), config)
    start = time.perf_counter()
    requests = [Request(Purpose.GENERATE, [], sampling=sampling_of(row)) for row in range(num_rows)]
    engine.add([engine.sequence(request) for request in requests])
    num_done = 0
    while engine.scheduler.num_taken:
        engine.admit()
        num_done += sum(result.finish_reason is not None for _, result in engine.step())
    assert num_done == num_rows
    return (time.perf_counter() - start) / TOKENS


def torch_seconds(model: TorchModel, num_rows: int) -> float:
    """Time a step of torch's own kernels in fp32, sampling with `multinomial`, after two steps to warm up."""
    tokens = torch.ones(num_rows, 1, dtype=torch.int64)
    num_steps = 8
    model.generate(tokens, 2)
    start = time.perf_counter()
    model.generate(tokens, num_steps)
    return (time.perf_counter() - start) / num_steps


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/tang"))
    options = parser.parse_args()
    num_threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(num_threads)
    model = load_checkpoint(options.checkpoint).model
    assert isinstance(model, LanguageModel)
    network, plain_model = Int8LanguageModel(model), TorchModel(model)
    rows = []
    for num_rows in ROWS:
        found: list[tuple[float, float, float, float]] = []
        for _ in range(REPEATS):
            products, step = products_and_step(network, num_rows, num_threads)
            engine = engine_seconds(network, num_rows, num_threads)
            found.append((products, step, engine, torch_seconds(plain_model, num_rows)))
        products, step, engine, plain = (median(column) for column in zip(*found, strict=True))
        rows.append(
            [
                num_rows,
                *(f"{1e3 * seconds:.3f}" for seconds in (products, step, engine, plain)),
                f"{num_rows / engine:,.0f}",
                f"{products / step:.0%}",
                f"{products / engine:.0%}",
                f"{plain / engine:.1f}",
            ]
        )
    header = [
        "rows",
        "products, ms",
        "step, ms",
        "engine, ms",
        "torch fp32, ms",
        "engine, tokens/s",
        "products / step",
        "products / engine",
        "torch / engine",
    ]
    text = f"Model `{options.checkpoint.name}`, {num_threads} threads, medians of {REPEATS}, a step of each row."
    save("engine", "The engine and its matrix products", text, table(header, rows))


if __name__ == "__main__":
    main()
