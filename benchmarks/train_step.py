"""Training steps of this project against a plain loop: `torch.nn.LSTM`, float32, full softmax, Adam.

Both train the same sizes on the same random words, step by step in turns, in one process on all its cores. A bare step
is the loss, its gradients and the update, on both sides. The step of a recipe is all that `refrain train` does for it,
from cutting the window to averaging the weights: dropout of words, vectors and recurrent weights, penalties, windows of
varying length, AdamW at the rate of its schedule, the checks that loss and gradient are finite. The plain loop beside
it has what the tutorials have: windows of one length, and dropout after the embedding, between layers and before the
output. Also the share of the machine's product peak that a step's matrix products make up: of a large product timed in
the same turn, in float32 for the plain loop, in bfloat16 for ours.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.report import median, save, table
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.corpus import TextCorpus
from refrain.training.optimize.allocator import keep_freed_memory
from refrain.training.optimize.distributed import World
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.optimize.optimizer import make_optimizer, take_gradients
from refrain.training.optimize.precision import autocast
from refrain.training.recipe.optimizer import OptimizerRecipe
from refrain.training.recipe.parsing import read_recipe
from refrain.training.reporting.listeners import RunListener, StepReport
from refrain.training.run.train import train

CPU = torch.device("cpu")
# vocabulary, width, layers, rows, window, words sampled
CASES = (
    (10_000, 640, 2, 64, 35, 0),
    (10_000, 1152, 2, 32, 70, 0),
    (33_278, 640, 2, 64, 35, 0),
    (33_278, 640, 2, 64, 35, 6_000),
)
ROUNDS = 7
RECIPE, RECIPE_VOCABULARY, RECIPE_ROUNDS = "penn-treebank-lstm", 10_000, 41
RECIPE_SAMPLED = (0, 4_000)
RECIPES = Path(__file__).parents[1] / "recipes"
WORDS_A_LINE = 20


class PlainModel(nn.Module):
    """What a tutorial trains: embedding, `nn.LSTM`, a linear layer tied to the embedding, dropout between them."""

    def __init__(self, vocab_size: int, width: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, num_layers, batch_first=True, dropout=dropout)
        self.output = nn.Linear(width, vocab_size)
        self.output.weight = self.embedding.weight


def plain_steps(
    case: tuple[int, ...], words: np.ndarray, dropout: float = 0.0
) -> Callable[[], None]:
    """Return a function that does one step of the plain loop."""
    vocab_size, width, num_layers, rows, window, _ = case
    model = PlainModel(vocab_size, width, num_layers, dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    lanes = torch.from_numpy(words[: len(words) // rows * rows]).view(rows, -1)
    offset, state = 0, None

    def step() -> None:
        nonlocal offset, state
        if offset + window + 1 > lanes.shape[1]:
            offset = 0
        inputs, targets = (
            lanes[:, offset : offset + window],
            lanes[:, offset + 1 : offset + window + 1],
        )
        offset += window
        optimizer.zero_grad()
        outputs, state = model.lstm(model.dropout(model.embedding(inputs)), state)
        state = tuple(part.detach() for part in state)
        logits = model.output(model.dropout(outputs))
        nn.functional.cross_entropy(logits.reshape(-1, vocab_size), targets.reshape(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return step


def our_steps(case: tuple[int, ...], words: np.ndarray) -> Callable[[], None]:
    """Return a function that does one bare step: no regularisation, schedule, averaging or checks."""
    vocab_size, width, num_layers, rows, window, num_sampled = case
    config = LanguageModelConfig(
        vocab_size=vocab_size, embedding_size=width, hidden_size=width, num_layers=num_layers
    )
    recipe = OptimizerRecipe(learning_rate=1e-3, clip_norm=0.25, num_sampled=num_sampled)
    model = LanguageModel(config)
    windows = StreamWindows([words.tolist()], eos_id=1, batch_size=rows, window=window, seed=0)
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


def seconds_of(step: Callable[[], object]) -> float:
    """Time one step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def products(case: tuple[int, ...]) -> float:
    """Count the floating-point operations of a step's matrix products, forwards and backwards."""
    vocab_size, width, num_layers, rows, window, num_sampled = case
    a_token = num_layers * 4 * width * 2 * width + width * (num_sampled or vocab_size)
    return 6.0 * rows * window * a_token


def peak(dtype: torch.dtype) -> float:
    """Return the fastest of five products 2240 x 1152 x 4608, in operations a second."""
    left, right = torch.randn(2240, 1152).to(dtype), torch.randn(4608, 1152).to(dtype)
    fastest = min(seconds_of(lambda: torch.mm(left, right.t())) for _ in range(5))
    return 2 * 2240 * 1152 * 4608 / fastest


class Turn(NamedTuple):
    """One after the other: a step of the plain loop and one of ours, in tokens a second, and the peaks for each."""

    plain: float
    ours: float
    plain_peak: float
    our_peak: float


def turn_of(plain: float, ours: float) -> Turn:
    """Measure the peaks right after two steps."""
    return Turn(plain, ours, peak(torch.float32), peak(torch.bfloat16))


def random_words(vocab_size: int) -> np.ndarray:
    """Draw words by Zipf's law, without the two special tokens."""
    return np.random.default_rng(0).zipf(1.2, 400_000) % (vocab_size - 2) + 2


def bare_turns(case: tuple[int, ...]) -> list[Turn]:
    """Measure bare steps, plain and ours, turn by turn."""
    words = random_words(case[0])
    plain, ours = plain_steps(case, words), our_steps(case, words)
    plain(), ours()
    tokens = case[3] * case[4]
    return [turn_of(tokens / seconds_of(plain), tokens / seconds_of(ours)) for _ in range(ROUNDS)]


class PlainInTurn(RunListener):
    """Does a step of the plain loop after each of a run's, whose clock stands still meanwhile.

    Attributes
    ----------
    turns
        What was measured; the first step, which warms up, is left out.
    """

    def __init__(self, plain: Callable[[], None], num_tokens: int) -> None:
        self._plain = plain
        self._num_tokens = num_tokens
        self.turns: list[Turn] = []

    def on_step(self, report: StepReport) -> None:
        plain_speed = self._num_tokens / seconds_of(self._plain)
        if report.step > 1:
            self.turns.append(turn_of(plain_speed, report.tokens_per_second))


def recipe_turns(num_sampled: int) -> tuple[tuple[int, ...], list[Turn]]:
    """Train by the recipe for a few steps; give its sizes, and what was measured turn by turn."""
    few = (
        "budget.epochs=1",
        f"budget.max_windows={RECIPE_ROUNDS + 1}",
        "card.baseline_order=0",
        f"optimizer.num_sampled={num_sampled}",
    )
    recipe = read_recipe(RECIPES / f"{RECIPE}.toml", few)
    model, budget = recipe.model, recipe.budget
    sizes = (RECIPE_VOCABULARY, model["hidden_size"], model["num_layers"])
    case = (*sizes, budget.batch_size, budget.window, num_sampled)
    words = np.concatenate((np.arange(2, RECIPE_VOCABULARY), random_words(RECIPE_VOCABULARY)))
    lines = [
        " ".join(map(str, words[start : start + WORDS_A_LINE].tolist()))
        for start in range(0, len(words), WORDS_A_LINE)
    ]
    corpus = TextCorpus({"train": lines, "validation": lines[:9], "test": lines[:9]}, "stream")
    plain = plain_steps(case, words, model["output_dropout"])
    listener = PlainInTurn(plain, budget.batch_size * budget.window)
    with tempfile.TemporaryDirectory() as folder:
        train(
            recipe,
            corpus,
            Path(folder) / RECIPE,
            log=lambda _: None,
            listeners=[listener],
            world=World(device_name="cpu"),
        )
    return case, listener.turns


def row_of(step: str, case: tuple[int, ...], turns: list[Turn]) -> tuple[str, ...]:
    """Return a line of the table: medians over the turns."""
    vocab_size, width, num_layers, num_rows, window, num_sampled = case
    a_token = products(case) / (num_rows * window)
    all_words = products((*case[:-1], 0)) / (num_rows * window)
    return (
        step,
        f"{vocab_size:,}",
        f"{num_layers} x {width}",
        f"{num_rows} x {window}",
        f"{num_sampled:,}" if num_sampled else "all",
        f"{median([turn.plain for turn in turns]):,.0f}",
        f"{median([all_words * turn.plain / turn.plain_peak for turn in turns]):.0%}",
        f"{median([turn.ours for turn in turns]):,.0f}",
        f"{median([a_token * turn.ours / turn.our_peak for turn in turns]):.0%}",
        f"{median([turn.ours / turn.plain for turn in turns]):.2f}x",
    )


def main() -> None:
    """Measure every case, the two loops in turns."""
    keep_freed_memory()
    rows = []
    for case in CASES:
        rows.append(row_of("bare", case, bare_turns(case)))
        print(rows[-1], flush=True)
    for num_sampled in RECIPE_SAMPLED:
        rows.append(row_of(f"of {RECIPE}", *recipe_turns(num_sampled)))
        print(rows[-1], flush=True)
    header = ("step", "vocabulary", "LSTM", "rows x window", "words normalised over")
    speeds = (
        "plain loop, tokens/s",
        "of its peak",
        "this project, tokens/s",
        "of its peak",
        "ratio",
    )
    save(
        "train_step",
        "A training step",
        f"{__doc__.partition(chr(10))[2].strip()}\n\n{torch.get_num_threads()} threads.",
        table((*header, *speeds), rows),
    )


if __name__ == "__main__":
    main()
