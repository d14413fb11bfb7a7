r"""Word order: what an average of word vectors cannot tell, and a recurrent network can.

Of a sentence of words with the vectors x_1 ... x_T a classifier sees either

.. math::
    \bar{x} = \frac{1}{T} \sum_t x_t \qquad \text{or} \qquad h_T = f(x_T, f(x_{T-1}, \dots f(x_1, 0)))

The first is the same for every order of the words.

Shapes: B rows, T times, V vocabulary, E width of a word's vector, H width of the hidden layer, M meanings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.studies.figure import BLUE, INK, NAMES, ORANGE, chinese_font, panels
from refrain.training.studies.networks import CELLS, fit, num_parameters
from refrain.training.studies.sentences.batches import draw_pair, encode, number_words
from refrain.training.studies.sentences.encoders import hidden_parameters, make_classifier
from refrain.training.studies.sentences.pairs import PATTERNS, Pair, meanings, split_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENCODERS = ("average", *CELLS)
TITLES = {"average": "Average of word vectors"} | NAMES
BATCH_SIZE = 64
PEAK_RATE = 4e-3
HELD_OUT = 0.3
"""Share of the pairs that only the test sees."""


def measure(*, num_steps: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Train every encoder on pairs of sentences and ask it about pairs that it never saw.

    Returns
    -------
    dict
        "pairs": the sentences that are shown, with their meanings. For each encoder "width" and "hidden_parameters"
        of its hidden layer, "parameters" of all, "accuracy" (mean over seeds) and "first_meaning": for each pair
        shown, of the first seed, the probability of its first meaning against its second, after the first and after
        the second order.
    """
    shown = split_pairs(np.random.default_rng(seeds[0]), HELD_OUT)[2]
    figures: dict[str, Any] = {
        "settings": {"num_steps": num_steps, "seeds": [*seeds]},
        "pairs": [_described(pair) for pair in shown],
    }
    with progress_bar(total=len(ENCODERS) * len(seeds) * num_steps, unit="step") as bar:
        for encoder in ENCODERS:
            bar.set_description_str(encoder, refresh=False)
            runs = [run(encoder, num_steps, seed, bar) for seed in seeds]
            figures[encoder] = {
                **runs[0],
                "accuracy": round(float(np.mean([each["accuracy"] for each in runs])), 4),
            }
    return figures


def _described(pair: Pair) -> dict[str, list[str]]:
    names = meanings()
    return {
        "sentences": ["".join(sentence) for sentence in pair.sentences],
        "meanings": [names[label] for label in pair.labels],
    }


def run(encoder: str, num_steps: int, seed: int, bar: tqdm[None]) -> dict[str, Any]:
    """Train one classifier and test it."""
    random = np.random.default_rng(seed)
    train, test, shown = split_pairs(random, HELD_OUT)
    ids = number_words([*train, *test])
    model = make_classifier(encoder, len(ids) + 1, seed)
    by_pattern = [
        [pair for pair in train if pair.labels[0] == 2 * index] for index in range(len(PATTERNS))
    ]

    def loss() -> Tensor:
        batch = [draw_pair(random, by_pattern) for _ in range(BATCH_SIZE // 2)]
        tokens_BT, lengths_B, labels_B = encode(batch, ids)
        return nn.functional.cross_entropy(model(tokens_BT, lengths_B).float(), labels_B)

    fit(model, loss, num_steps=num_steps, peak_rate=PEAK_RATE, bar=bar)
    return {
        "width": model.output.in_features,
        "hidden_parameters": hidden_parameters(model),
        "parameters": num_parameters(model),
        "accuracy": accuracy(model, test, ids),
        "first_meaning": first_meaning(model, shown, ids),
    }


@torch.no_grad()
def accuracy(model: nn.Module, pairs: Sequence[Pair], ids: Mapping[str, int]) -> float:
    """Return the share of right meanings, every pattern counting alike."""
    tokens_BT, lengths_B, labels_B = encode(pairs, ids)
    right_B = (model(tokens_BT, lengths_B).argmax(1) == labels_B).float()
    return float(np.mean([right_B[labels_B == label].mean() for label in labels_B.unique()]))


@torch.no_grad()
def first_meaning(
    model: nn.Module, pairs: Sequence[Pair], ids: Mapping[str, int]
) -> list[list[float]]:
    """Return for both sentences of each pair the probability of the first meaning, against the second alone."""
    tokens_BT, lengths_B, _ = encode(pairs, ids)
    logits_BM = model(tokens_BT, lengths_B).view(len(pairs), 2, -1)
    return [
        logits_2M[:, list(pair.labels)].softmax(1)[:, 0].tolist()
        for pair, logits_2M in zip(pairs, logits_BM, strict=True)
    ]


def table(figures: dict[str, Any]) -> str:
    """Write the scores of every pair and the accuracies."""
    sizes = (figures[name]["hidden_parameters"] for name in ENCODERS)
    lines = [
        f"{'':33} {' '.join(f'{name:>15}' for name in ENCODERS)}",
        f"{'parameters of the hidden layer:':33} {' '.join(f'{size:15,}' for size in sizes)}",
        "probability of the first meaning:",
    ]
    for index, pair in enumerate(figures["pairs"]):
        lines.append(f"{pair['meanings'][0]} / {pair['meanings'][1]}")
        for order, sentence in enumerate(pair["sentences"]):
            scores = (figures[name]["first_meaning"][index][order] for name in ENCODERS)
            lines.append(
                f"    {sentence + chr(0x3000) * (12 - len(sentence))}"
                f"      {' '.join(f'{score:15.4f}' for score in scores)}"
            )
    lines.append(
        "accuracy on unseen pairs: "
        + ", ".join(f"{name} {figures[name]['accuracy']:.1%}" for name in ENCODERS)
    )
    return "\n".join(lines)


def draw(figures: dict[str, Any]) -> Figure:
    """Draw what each encoder makes of the two orders of every pair."""
    pairs = figures["pairs"]
    encoders = ("average", "elman", "lstm")
    figure, axes_of_encoders = panels(len(encoders), width=9.6, height=0.62 * len(pairs) + 1.4)
    for axes, encoder in zip(axes_of_encoders, encoders, strict=True):
        _draw_encoder(axes, TITLES[encoder], figures[encoder])
    axes_of_encoders[1].set_xlabel(
        "probability of the first order's meaning, after reading either order"
    )
    figure.suptitle(
        "The same words in another order: the same average, but another state",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    _name_rows(axes_of_encoders[0], pairs)
    return figure


def _draw_encoder(axes: Axes, title: str, facts: dict[str, Any]) -> None:
    pairs = facts["first_meaning"]
    for row, (one, other) in enumerate(pairs):
        axes.plot([one, other], [row, row], color=INK, linewidth=1, alpha=0.6)
        axes.plot(one, row, "o", color=BLUE, markersize=11, fillstyle="none", markeredgewidth=2)
        axes.plot(other, row, "o", color=ORANGE, markersize=5)
    axes.set_title(
        f"{title}\n{facts['hidden_parameters']:,} hidden parameters\n"
        f"{facts['accuracy']:.0%} right on unseen pairs"
    )
    axes.set(xlim=(-0.07, 1.07), ylim=(len(pairs) - 0.5, -0.6), yticks=[])
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.spines["left"].set_visible(False)


def _name_rows(axes: Axes, pairs: Sequence[dict[str, Any]]) -> None:
    """Write both sentences of each pair beside its row, or their meanings where no font has the signs."""
    labels = "sentences" if chinese_font() else "meanings"
    for row, pair in enumerate(pairs):
        for text, colour, side in zip(pair[labels], (BLUE, ORANGE), (-0.2, 0.2), strict=True):
            axes.annotate(
                text,
                (-0.12, row + side),
                color=colour,
                ha="right",
                va="center",
                annotation_clip=False,
            )
