"""How far back a gradient has to reach: an Elman network that learns to echo, by its hand-written gradient.

At every time the network reads a symbol and has to name the one of `lag` steps before. Of its gradient we ask which
part came back from which distance, and what is left of its direction when it is cut short.

Shapes: T times, V symbols, H width of the hidden layer, K distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from refrain.training.errors import RecipeError
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.studies.elman_by_hand import (
    ElmanWeights,
    backward,
    forward,
    parts_by_distance,
)
from refrain.training.studies.figure import BLUE, GREY, INK, ORANGE, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_SYMBOLS = 4
NUM_TIMES = 60
NUM_MEASURED = 30
"""Sequences whose gradients are added up and looked at."""
PEAK_RATE = 3e-3


def echo(random: np.random.Generator, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs_TV (one-hot symbols) and targets_T: the symbol of `lag` steps before, at first symbol 0."""
    symbols_T = random.integers(NUM_SYMBOLS, size=NUM_TIMES)
    targets_T = np.concatenate((np.zeros(lag, dtype=int), symbols_T))[:NUM_TIMES]
    return np.eye(NUM_SYMBOLS)[symbols_T], targets_T


def measure(
    *, lag: int, hidden_size: int, num_steps: int, longest: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Measure the gradient of a fresh and of a trained network; means over seeds.

    Returns
    -------
    dict
        For "fresh" and "trained": "loss" in nats a step; "share", the norm of the part of dL/dW_hh that came back over
        0, 1, ... steps against the whole's norm; "reach" and "window", the cosine between the full gradient and the one
        of which every loss reaches back over 1, 2, ... steps, or the one of windows of 1, 2, ... steps.

    Raises
    ------
    RecipeError
        If a lag or a truncation is longer than a sequence.
    """
    if lag >= NUM_TIMES or longest > NUM_TIMES:
        raise RecipeError(
            f"a sequence has {NUM_TIMES} steps: give a --lag below that, and a --longest that is no more"
        )
    settings = {"lag": lag, "hidden_size": hidden_size, "num_steps": num_steps, "seeds": [*seeds]}
    with progress_bar("bptt", len(seeds) * num_steps, unit="step") as bar:
        runs = [_measure_run(seed, settings, longest, bar) for seed in seeds]
    stages = {stage: _mean([run[stage] for run in runs]) for stage in ("fresh", "trained")}
    return {"settings": settings, **stages}


def _measure_run(
    seed: int, settings: dict[str, Any], longest: int, bar: tqdm[None]
) -> dict[str, dict[str, Any]]:
    """Measure the gradient of one network, before and after it is trained."""
    lag = settings["lag"]
    random = np.random.default_rng(seed)
    sizes = {"num_inputs": NUM_SYMBOLS, "num_outputs": NUM_SYMBOLS}
    weights = ElmanWeights.draw(random, num_hidden=settings["hidden_size"], **sizes)
    held_out = [echo(random, lag) for _ in range(NUM_MEASURED)]
    fresh = measure_gradient(weights, held_out, longest)
    for _ in train(weights, random, lag, settings["num_steps"]):
        bar.update()
    return {"fresh": fresh, "trained": measure_gradient(weights, held_out, longest)}


def train(
    weights: ElmanWeights, random: np.random.Generator, lag: int, num_steps: int
) -> Iterator[None]:
    """Train in place under Adam, whose gradients are those that `backward` gives."""
    parameters = [torch.from_numpy(array) for array in weights.arrays()]
    optimizer = torch.optim.Adam(parameters, lr=PEAK_RATE, betas=(0.9, 0.99))
    for _ in range(num_steps):
        inputs_TV, targets_T = echo(random, lag)
        gradient = backward(weights, inputs_TV, forward(weights, inputs_TV, targets_T))
        for parameter, array in zip(parameters, gradient.arrays(), strict=True):
            parameter.grad = torch.from_numpy(array / NUM_TIMES)
        optimizer.step()
        yield


def measure_gradient(
    weights: ElmanWeights, sequences: Sequence[tuple[np.ndarray, np.ndarray]], longest: int
) -> dict[str, Any]:
    """Add up the gradients of sequences and compare the whole with its parts and with what truncation leaves."""
    shape = weights.W_hh.shape
    loss, parts_KHH, windowed_KHH = 0.0, np.zeros((NUM_TIMES, *shape)), np.zeros((longest, *shape))
    for inputs_TV, targets_T in sequences:
        read = forward(weights, inputs_TV, targets_T)
        loss += read.loss / NUM_TIMES / len(sequences)
        parts_KHH += parts_by_distance(weights, read, NUM_TIMES)
        for index in range(longest):
            windowed_KHH[index] += backward(weights, inputs_TV, read, index + 1).W_hh
    whole_HH = parts_KHH.sum(axis=0)
    reaching_KHH = parts_KHH[:longest].cumsum(axis=0)
    norms_K = np.linalg.norm(parts_KHH[:longest], axis=(1, 2))
    return {
        "loss": loss,
        "share": (norms_K / np.linalg.norm(whole_HH)).tolist(),
        "reach": [cosine(part_HH, whole_HH) for part_HH in reaching_KHH],
        "window": [cosine(part_HH, whole_HH) for part_HH in windowed_KHH],
    }


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    """Return the cosine of the angle between two matrices taken as vectors."""
    return float((left * right).sum() / (np.linalg.norm(left) * np.linalg.norm(right)))


def _mean(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: np.mean([run[name] for run in runs], axis=0).round(5).tolist() for name in runs[0]
    }


def table(figures: dict[str, Any]) -> str:
    """Write the cosines of the trained network."""
    trained, lag = figures["trained"], figures["settings"]["lag"]
    lines = [
        f"echo over {lag} steps: loss {figures['fresh']['loss']:.3f} nats fresh, {trained['loss']:.3f} trained",
        "cosine with the full gradient of the trained network",
        f"{'steps':>6} {'every loss reaches back':>24} {'windows':>9}",
    ]
    pairs = zip(trained["reach"], trained["window"], strict=True)
    lines += [
        f"{length:6} {reach:24.3f} {window:9.3f}"
        for length, (reach, window) in enumerate(pairs, start=1)
    ]
    return "\n".join(lines)


def draw(figures: dict[str, Any]) -> Figure:
    """Draw the parts of the gradient by distance, and the direction that truncation leaves."""
    figure, (left, right) = panels(2)
    lag = figures["settings"]["lag"]
    for axes, index in ((left, lag), (right, lag + 1)):
        axes.axvline(index, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    _draw_shares(left, lag, figures["fresh"]["share"], figures["trained"]["share"])
    _draw_cosines(right, figures["trained"])
    return figure


def _draw_shares(axes: Axes, lag: int, fresh: Sequence[float], trained: Sequence[float]) -> None:
    distances = range(len(trained))
    axes.plot(distances, fresh, "o-", color=GREY, markersize=4)
    axes.plot(distances, trained, "o-", color=ORANGE, markersize=4)
    axes.annotate("fresh", (0, fresh[0]), (8, 0), textcoords="offset points", color=GREY)
    axes.annotate("trained", (lag, trained[lag]), (8, 2), textcoords="offset points", color=ORANGE)
    axes.set_title(f"What came back over {lag} steps teaches;\nbeyond them nothing does")
    axes.set(xlabel="distance k, steps back", ylabel="norm of part k / norm of dL/dW$_{hh}$")
    axes.set_ylim(bottom=0)


def _draw_cosines(axes: Axes, trained: dict[str, Any]) -> None:
    lengths = range(1, len(trained["reach"]) + 1)
    axes.plot(lengths, trained["reach"], "o-", color=ORANGE, markersize=4)
    axes.plot(lengths, trained["window"], "o-", color=BLUE, markersize=4)
    axes.set_title("Cut shorter, the gradient points elsewhere;\nwindows must be longer still")
    axes.set(xlabel="truncation length, steps", ylabel="cosine with the full gradient")
    axes.set_ylim(0, 1.2)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    middle = len(lengths) * 2 // 3
    below = trained["window"][middle - 1] - 0.06
    axes.text(
        middle, 1.09, "every loss reaches back so far", color=ORANGE, va="center", ha="center"
    )
    axes.text(
        middle, below, "windows of that length,\nas in training", color=BLUE, va="top", ha="center"
    )
