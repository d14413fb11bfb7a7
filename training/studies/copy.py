"""The copy task (Hochreiter & Schmidhuber 1997; as here, Arjovsky et al. 2016): read, wait, repeat.

Shapes: B rows, T times, S symbols to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from refrain.models.config import CellName
from refrain.models.networks.language_model import LanguageModel
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.studies.figure import COLOURS, INK, NAMES, name_point, panels
from refrain.training.studies.networks import fit, make_network, num_parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_SYMBOLS = 8
BLANK, GO = NUM_SYMBOLS, NUM_SYMBOLS + 1
VOCAB_SIZE = NUM_SYMBOLS + 2
EMBEDDING_SIZE = 32
BATCH_SIZE = 32
NUM_TESTED = 512
PEAK_RATE = 1.5e-2


@dataclass(frozen=True)
class Contender:
    """A cell, and how far its forget gates are opened before training: 1 as everywhere in this project, or more."""

    cell: CellName
    forget_bias: float = 1.0

    @property
    def name(self) -> str:
        """What it is called in figures."""
        opened = f", forget bias {self.forget_bias:g}" if self.forget_bias != 1 else ""
        return NAMES[self.cell] + opened


CONTENDERS = (Contender("elman"), Contender("gru"), Contender("lstm"), Contender("lstm", 5.0))


def copy_batch(
    generator: torch.Generator, num_rows: int, num_copied: int, lag: int
) -> tuple[Tensor, Tensor]:
    """Draw tokens_BT and symbols_BS: S symbols, `lag` blanks, GO, S - 1 blanks.

    From GO on, the network is to say the symbols: each S + lag steps after it was read.
    """
    symbols_BS = torch.randint(NUM_SYMBOLS, (num_rows, num_copied), generator=generator)
    waiting = symbols_BS.new_full((num_rows, lag), BLANK)
    go = symbols_BS.new_full((num_rows, 1), GO)
    saying = symbols_BS.new_full((num_rows, num_copied - 1), BLANK)
    return torch.cat((symbols_BS, waiting, go, saying), dim=1), symbols_BS


def answers(model: LanguageModel, tokens_BT: Tensor, num_copied: int) -> Tensor:
    """Return the logits of what the network says at the last S times, [B * S, vocabulary]."""
    features_BTF, _ = model.read(tokens_BT, model.zero_state(len(tokens_BT)))
    return model.logits(features_BTF[:, -num_copied:].flatten(0, 1)).float()


def measure(
    *,
    lags: Sequence[int],
    num_copied: int,
    num_steps: int,
    budget: int,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Train every network anew at every lag and measure the share of symbols that it says right.

    Returns
    -------
    dict
        "networks": for each its name, "cell", "parameters", "width", and "accuracy": for each lag one number a seed.
    """
    settings = {"lags": lags, "num_copied": num_copied, "num_steps": num_steps, "seeds": seeds}
    networks = []
    num_runs = len(CONTENDERS) * len(lags) * len(seeds)
    with progress_bar(total=num_runs * num_steps, unit="step") as bar:
        for contender in CONTENDERS:
            accuracies = []
            for lag in lags:
                bar.set_description_str(f"{contender.name}, lag {lag}", refresh=False)
                runs = [
                    train_at(lag, contender, seed, num_copied, num_steps, budget, bar)
                    for seed in seeds
                ]
                accuracies.append(runs)
            networks.append(_facts(contender, budget) | {"accuracy": accuracies})
    return {"settings": settings, "networks": networks}


def _network(contender: Contender, budget: int, seed: int) -> LanguageModel:
    return make_network(
        contender.cell,
        vocab_size=VOCAB_SIZE,
        embedding_size=EMBEDDING_SIZE,
        budget=budget,
        seed=seed,
        forget_bias=contender.forget_bias,
    )


def _facts(contender: Contender, budget: int) -> dict[str, Any]:
    model = _network(contender, budget, seed=0)
    return {
        "name": contender.name,
        "cell": contender.cell,
        "parameters": num_parameters(model),
        "width": model.config.hidden_size,
    }


def train_at(
    lag: int,
    contender: Contender,
    seed: int,
    num_copied: int,
    num_steps: int,
    budget: int,
    bar: tqdm[None],
) -> float:
    """Train one network at one lag; its accuracy on sequences that it has not seen."""
    model = _network(contender, budget, seed)
    generator = torch.Generator().manual_seed(seed)

    def loss() -> Tensor:
        tokens_BT, symbols_BS = copy_batch(generator, BATCH_SIZE, num_copied, lag)
        return nn.functional.cross_entropy(
            answers(model, tokens_BT, num_copied), symbols_BS.flatten()
        )

    fit(model, loss, num_steps=num_steps, peak_rate=PEAK_RATE, bar=bar)
    return accuracy(model, *copy_batch(generator, NUM_TESTED, num_copied, lag))


@torch.no_grad()
def accuracy(model: LanguageModel, tokens_BT: Tensor, symbols_BS: Tensor) -> float:
    """Return the share of symbols that a network says right."""
    said_N = answers(model, tokens_BT, symbols_BS.shape[1]).argmax(1)
    return round((said_N == symbols_BS.flatten()).float().mean().item(), 4)


def table(figures: dict[str, Any]) -> str:
    """Write the mean accuracy of every network at every lag."""
    lags = figures["settings"]["lags"]
    lines = [f"{'lag':22} {'parameters':>10} " + " ".join(f"{lag:>6}" for lag in lags)]
    for network in figures["networks"]:
        means = " ".join(f"{fmean(runs):6.1%}" for runs in network["accuracy"])
        lines.append(f"{network['name']:22} {network['parameters']:10,} {means}")
    return "\n".join(lines)


def draw(figures: dict[str, Any]) -> Figure:
    """Draw accuracy against lag: means over seeds as lines, every seed as a dot."""
    figure, (axes,) = panels(width=7.6)
    lags = figures["settings"]["lags"]
    axes.axhline(1 / NUM_SYMBOLS, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    for network in figures["networks"]:
        colour, opened = COLOURS[network["cell"]], "bias" in network["name"]
        means = [fmean(runs) for runs in network["accuracy"]]
        axes.plot(lags, means, color=colour, linestyle=(0, (4, 2)) if opened else "-")
        for lag, runs in zip(lags, network["accuracy"], strict=True):
            axes.plot([lag] * len(runs), runs, "o", color=colour, markersize=3.5, alpha=0.6)
        last = max((index for index, mean in enumerate(means) if mean > 0.5), default=0)
        offset = (8, 0) if last == len(lags) - 1 else (24, -17 if opened else -11)
        name_point(
            axes, lags[last], means[last], network["name"].replace(", ", ",\n"), colour, offset
        )
    name_point(axes, lags[0], 1 / NUM_SYMBOLS, "chance", INK, (0, -9))
    axes.set(xscale="log", xlabel="lag, blank steps between reading and repeating", ylim=(0, 1.04))
    axes.set(ylabel="symbols repeated right, share of 1")
    axes.set_xticks(lags, [str(lag) for lag in lags])
    axes.minorticks_off()
    axes.set_title("Gates remember longer, and longer still where they begin open")
    return figure
