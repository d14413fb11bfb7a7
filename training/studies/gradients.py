r"""How far back the loss can be felt: gradient norm against distance (Bengio et al. 1994; Pascanu et al. 2013).

The network reads x_0 ... x_T and predicts what comes next at the cost L. Measured is, averaged over texts,

.. math::
    \left\| \frac{\partial L}{\partial x_{T-k}} \right\|
    = \left\| \frac{\partial L}{\partial s_T}
      \frac{\partial s_T}{\partial s_{T-1}} \cdots \frac{\partial s_{T-k+1}}{\partial s_{T-k}}
      \frac{\partial s_{T-k}}{\partial x_{T-k}} \right\|

where s is all that the network remembers: of an LSTM the hidden layer and the cell, so that the inputs, which all
networks have alike, are compared and not the states.

Shapes: N texts, T times, E width of an input, B rows, K distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from refrain.models.config import CellName
from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import TextCorpus
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.studies.crops import WARM_UP, crops, stream
from refrain.training.studies.figure import COLOURS, NAMES, name_ends, name_point, panels
from refrain.training.studies.networks import CELLS, fit, make_network, num_parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VOCAB_SIZE = 2_000
EMBEDDING_SIZE = 64
BATCH_SIZE = 16
NUM_TEXTS = 256
PEAK_RATE = 6e-3
CELL_BUDGET = 65_000
"""Parameters of the recurrent layer; embedding and output come on top."""
FLOOR = 1e-8
"""Shares below which figures show nothing."""


def measure(
    corpus: TextCorpus, *, distance: int, num_steps: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Measure fresh and trained networks on validation texts; means over texts and seeds.

    Returns
    -------
    dict
        For each cell "width", "cell_parameters", "loss" (nats a character, trained), and "fresh" and "trained": the
        norm at distances 0 ... `distance`.
    """
    tokenizer = Tokenizer.train("characters", corpus.documents["train"], vocab_size=VOCAB_SIZE)
    train_N = stream(tokenizer, corpus.documents["train"], distance)
    held_out_N = stream(tokenizer, corpus.documents["validation"], distance)
    texts_NT = crops(
        held_out_N, torch.Generator().manual_seed(0), NUM_TEXTS, WARM_UP + distance + 2
    )
    settings = {"distance": distance, "num_steps": num_steps, "seeds": [*seeds]}
    figures: dict[str, Any] = {"settings": settings}
    with progress_bar(total=len(CELLS) * len(seeds) * num_steps, unit="step") as bar:
        for cell in CELLS:
            bar.set_description_str(NAMES[cell], refresh=False)
            figures[cell] = _measure_cell(
                cell, tokenizer.vocab_size, train_N, texts_NT, settings, bar
            )
    return figures


def _measure_cell(
    cell: CellName,
    vocab_size: int,
    train_N: Tensor,
    texts_NT: Tensor,
    settings: dict[str, Any],
    bar: tqdm[None],
) -> dict[str, Any]:
    """Measure the networks of one cell, before and after each is trained."""
    distance = settings["distance"]
    stages: dict[str, list[Tensor]] = {"fresh": [], "trained": []}
    losses = []
    for seed in settings["seeds"]:
        sizes = {"vocab_size": vocab_size, "embedding_size": EMBEDDING_SIZE}
        model = make_network(cell, budget=CELL_BUDGET, seed=seed, **sizes)
        stages["fresh"].append(gradient_norms(model, texts_NT)[: distance + 1])
        train(model, train_N, distance, settings["num_steps"], seed, bar)
        stages["trained"].append(gradient_norms(model, texts_NT)[: distance + 1])
        losses.append(mean_loss(model, texts_NT).item())
    return {
        "width": model.config.hidden_size,
        "cell_parameters": num_parameters(model.stack),
        "loss": round(sum(losses) / len(losses), 4),
        **{stage: torch.stack(norms).mean(0).tolist() for stage, norms in stages.items()},
    }


def mean_loss(model: LanguageModel, texts_BT: Tensor) -> Tensor:
    """Return the mean cross-entropy of all tokens but the first, in nats."""
    logits_BTV, _ = model(texts_BT[:, :-1], model.zero_state(len(texts_BT)))
    return nn.functional.cross_entropy(logits_BTV.flatten(0, 1).float(), texts_BT[:, 1:].flatten())


def train(
    model: LanguageModel,
    stream_N: Tensor,
    distance: int,
    num_steps: int,
    seed: int,
    bar: tqdm[None],
) -> None:
    """Train to predict every next token of pieces as long as the gradient is looked back over."""
    generator = torch.Generator().manual_seed(seed)
    fit(
        model,
        lambda: mean_loss(model, crops(stream_N, generator, BATCH_SIZE, distance + 2)),
        num_steps=num_steps,
        peak_rate=PEAK_RATE,
        bar=bar,
    )


def gradient_norms(model: LanguageModel, texts_NT: Tensor) -> Tensor:
    """Return the mean norm of the last loss's gradient to the input of k = 0, 1, ... steps before, in float64.

    The last token of each text is what the loss is of; all others are read.
    """
    model.double()
    inputs_NTE = model.embedding(texts_NT[:, :-1]).detach().requires_grad_()
    zeros = model.zero_state(len(texts_NT))
    state = RecurrentState(tuple(layer.double() for layer in zeros.layers))
    features_NTF, _ = model.stack(inputs_NTE, state)
    loss = nn.functional.cross_entropy(
        model.logits(features_NTF[:, -1]), texts_NT[:, -1], reduction="sum"
    )
    (gradient_NTE,) = torch.autograd.grad(loss, inputs_NTE)
    model.float()
    norms_K: Tensor = gradient_NTE.norm(dim=2).flip(1).mean(0)
    return norms_K


def relative(norms: Sequence[float]) -> list[float]:
    """Divide by the norm at distance 0: what is left of the gradient."""
    return [norm / norms[0] for norm in norms]


def table(figures: dict[str, Any]) -> str:
    """Write what is left of the gradient at some distances."""
    longest = figures["settings"]["distance"]
    distances = [k for k in (1, 5, 10, 20, 50, 100, 200) if k <= longest]
    lines = [f"{'what is left at distance':26} " + " ".join(f"{k:>8}" for k in distances)]
    for stage in ("fresh", "trained"):
        for cell in CELLS:
            left = relative(figures[cell][stage])
            numbers = " ".join(f"{left[k]:8.1e}" for k in distances)
            lines.append(f"{NAMES[cell] + ', ' + stage:26} {numbers}")
    losses = ", ".join(f"{NAMES[cell]} {figures[cell]['loss']:.2f}" for cell in CELLS)
    return "\n".join([*lines, f"loss of the trained networks, nats a character: {losses}"])


def draw(figures: dict[str, Any]) -> Figure:
    """Draw what is left of the gradient by distance, fresh and trained."""
    figure, axes_of_stages = panels(2)
    longest = figures["settings"]["distance"]
    titles = ("Fresh: every network forgets exponentially", "Trained: the gates have opened")
    for axes, stage, title in zip(axes_of_stages, ("fresh", "trained"), titles, strict=True):
        ends = []
        for cell in CELLS:
            left = relative(figures[cell][stage])
            axes.plot(range(len(left)), left, color=COLOURS[cell])
            last = max(k for k, share in enumerate(left) if share > FLOOR)
            if cell == "elman":
                name_point(axes, last / 2, left[last // 2], NAMES[cell], COLOURS[cell], (-36, -14))
            else:
                ends.append((last, left[last], NAMES[cell], COLOURS[cell]))
        axes.set(yscale="log", ylim=(FLOOR, 2), xlim=(0, longest), title=title)
        axes.set(xlabel="distance k, characters back")
        axes.minorticks_off()
        name_ends(axes, ends)
    axes_of_stages[0].set_ylabel("gradient norm, share of that at k = 0")
    return figure
