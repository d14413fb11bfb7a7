"""Training steps of this project against a plain loop: `torch.nn.LSTM`, float32, full softmax, Adam.

Both train the same sizes on the same random words, step by step in turns, in one process on all its cores. Also the
share of the machine's product peak that a step's matrix products make up: of the fastest bfloat16 product of this run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.report import median, save, table
from models.config import LanguageModelConfig
from models.language_model import LanguageModel
from training.allocator import keep_freed_memory
from training.batches import StreamWindows
from training.objective import LanguageModelObjective
from training.optimizer import make_optimizer, take_gradients
from training.precision import autocast
from training.recipe import OptimizerRecipe

CPU = torch.device("cpu")
# vocabulary, width, layers, rows, window, words sampled
CASES = (
    (10_000, 640, 2, 64, 35, 0),
    (10_000, 1152, 2, 32, 70, 0),
    (33_278, 640, 2, 64, 35, 0),
    (33_278, 640, 2, 64, 35, 6_000),
)
ROUNDS = 5


class PlainModel(nn.Module):
    """What a tutorial trains: embedding, `nn.LSTM`, a linear layer tied to the embedding."""

    def __init__(self, vocab_size: int, width: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, num_layers, batch_first=True)
        self.output = nn.Linear(width, vocab_size)
        self.output.weight = self.embedding.weight


def plain_steps(case: tuple[int, ...], words: np.ndarray) -> Callable[[], None]:
    """Give a function that does one step of the plain loop."""
    vocab_size, width, num_layers, rows, window, _ = case
    model = PlainModel(vocab_size, width, num_layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    lanes = torch.from_numpy(words[: len(words) // rows * rows]).view(rows, -1)
    place, state = 0, None

    def step() -> None:
        nonlocal place, state
        if place + window + 1 > lanes.shape[1]:
            place = 0
        inputs, targets = lanes[:, place : place + window], lanes[:, place + 1 : place + window + 1]
        place += window
        optimizer.zero_grad()
        outputs, state = model.lstm(model.embedding(inputs), state)
        state = tuple(part.detach() for part in state)
        logits = model.output(outputs)
        nn.functional.cross_entropy(logits.reshape(-1, vocab_size), targets.reshape(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return step


def our_steps(case: tuple[int, ...], words: np.ndarray) -> Callable[[], None]:
    """Give a function that does one step as `training/loop.py` does."""
    vocab_size, width, num_layers, rows, window, num_sampled = case
    config = LanguageModelConfig(
        vocab_size=vocab_size, embedding_size=width, hidden_size=width, num_layers=num_layers
    )
    recipe = OptimizerRecipe(learning_rate=1e-3, clip_norm=0.25, num_sampled=num_sampled)
    model = LanguageModel(config)
    windows = StreamWindows([words.tolist()], boundary_id=1, batch_size=rows, window=window, seed=0)
    objective = LanguageModelObjective(model, windows, windows, CPU, recipe)
    optimizer = make_optimizer(model, recipe)
    parameters = list(model.parameters())
    batches = objective.epoch(0)

    def step() -> None:
        with autocast(CPU, "bfloat16"):
            loss = objective.loss(next(batches))
        take_gradients(loss.minimised, parameters, clip_norm=0.25)
        optimizer.step()

    return step


def seconds_of(step: Callable[[], None]) -> float:
    """Time one step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def products(case: tuple[int, ...]) -> float:
    """Count the floating-point operations of a step's matrix products, forwards and backwards."""
    vocab_size, width, num_layers, rows, window, num_sampled = case
    a_token = num_layers * 4 * width * 2 * width + width * (num_sampled or vocab_size)
    return 6.0 * rows * window * a_token


def peak() -> float:
    """Give the fastest of the bfloat16 products 2240 x 1152 x 4608, in operations a second."""
    left, right = torch.randn(2240, 1152).bfloat16(), torch.randn(4608, 1152).bfloat16()
    fastest = min(seconds_of(lambda: torch.mm(left, right.t())) for _ in range(20))
    return 2 * 2240 * 1152 * 4608 / fastest


def main() -> None:
    """Measure every case, the two loops in turns."""
    keep_freed_memory()
    rows = []
    for case in CASES:
        vocab_size, width, num_layers, num_rows, window, num_sampled = case
        words = np.random.default_rng(0).zipf(1.2, 400_000) % (vocab_size - 2) + 2
        plain, ours = plain_steps(case, words), our_steps(case, words)
        plain(), ours()
        pairs = [(seconds_of(plain), seconds_of(ours)) for _ in range(ROUNDS)]
        tokens = num_rows * window
        plain_speed, our_speed = (tokens / median([pair[i] for pair in pairs]) for i in (0, 1))
        ratio = median([slow / fast for slow, fast in pairs])
        share = products(case) / tokens * our_speed / peak()
        rows.append(
            (
                f"{vocab_size:,}",
                f"{num_layers} x {width}",
                f"{num_rows} x {window}",
                f"{num_sampled:,}" if num_sampled else "all",
                f"{plain_speed:,.0f}",
                f"{our_speed:,.0f}",
                f"{ratio:.1f}x",
                f"{share:.0%}",
            )
        )
        print(rows[-1], flush=True)
    header = ("vocabulary", "LSTM", "rows x window", "words normalised over")
    speeds = ("plain loop, tokens/s", "this project, tokens/s", "ratio", "of the product peak")
    save(
        "train_step",
        "A training step",
        f"{__doc__.partition(chr(10))[2].strip()}\n\n{torch.get_num_threads()} threads.",
        table((*header, *speeds), rows),
    )


if __name__ == "__main__":
    main()
