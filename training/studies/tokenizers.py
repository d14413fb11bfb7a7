r"""Characters, words and byte pairs on the same text, in bits per character.

Perplexities of different tokens do not compare: a word is harder to guess than a character, and says more. The whole
text's probability does, per character:

.. math:: \mathrm{bits\ per\ character} = \frac{-\sum_{i} \log_2 p(w_i \mid w_{<i})}{\text{characters}}
    = \frac{\text{bits per token}}{\text{characters per token}}

The end of a text counts as a token and as a character.

Shapes: V vocabulary.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.batches.window import Window, WindowSource, stream_of
from refrain.training.data.corpus import TextCorpus
from refrain.training.evaluation.evaluate import cross_entropy
from refrain.training.optimize.objectives.window_loss import window_loss
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.setup.language_model import start_from_frequencies
from refrain.training.studies import spelling
from refrain.training.studies.figure import BLUE, GREEN, ORANGE, name_ends, panels
from refrain.training.studies.networks import CPU, fit, num_parameters
from refrain.training.studies.spelling import Vocabulary
from refrain.training.studies.texts import beginning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"characters": BLUE, "words": ORANGE, "byte pairs": GREEN}
WIDTH = 256
BATCH_SIZE = 16
WINDOW_CHARACTERS = 64
"""Length of a window; in tokens it is as many as these characters make."""
PEAK_RATE = 5e-3
NUM_CHECKS = 6
"""How often the bits per character are measured on the way."""
CHECKED_CHARACTERS, TESTED_CHARACTERS = 8_000, 40_000


def measure(
    corpus: TextCorpus, *, num_characters: int, vocab_size: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Train one network a vocabulary on the same characters and measure it on the test texts.

    Returns
    -------
    dict
        For each kind its vocabulary, parameters, tokens and seconds; "curve": characters read and bits per character
        on a part of the validation texts; "bits_per_character" on the test texts, a number a seed.
    """
    figures: dict[str, Any] = {
        "settings": {
            "num_characters": num_characters,
            "vocab_size": vocab_size,
            "seeds": [*seeds],
        }
    }
    train = beginning(corpus.documents["train"], num_characters)
    with progress_bar(unit="step") as bar:
        for kind in KINDS:
            bar.set_description_str(kind, refresh=False)
            vocabulary = learn(kind, train, vocab_size)
            runs = [run(vocabulary, corpus, num_characters, seed, bar) for seed in seeds]
            facts = {"curve": runs[0]["curve"], **runs[0]["facts"]}
            figures[kind] = facts | {
                "bits_per_character": [each["bits_per_character"] for each in runs]
            }
    return figures


def learn(kind: str, texts: Sequence[str], vocab_size: int) -> Vocabulary:
    """Learn a vocabulary from training texts."""
    match kind:
        case "characters":
            return spelling.characters(texts)
        case "words":
            return spelling.words(texts, vocab_size)
        case _:
            return spelling.byte_pairs(texts, vocab_size)


class NextWindow:
    """The loss of one window after another, the state carried over; a new epoch when the text is out."""

    def __init__(self, model: LanguageModel, windows: WindowSource) -> None:
        self._model = model
        self._windows = self._endless(windows)
        self._state: RecurrentState | None = None

    def __call__(self) -> Tensor:
        """Read the next window and give its mean loss in nats a token."""
        total, num_targets, state = window_loss(self._model, next(self._windows), self._state, CPU)
        self._state = state.detach()
        return total / num_targets

    @staticmethod
    def _endless(windows: WindowSource) -> Iterator[Window]:
        for epoch in itertools.count():
            yield from windows.epoch(epoch)


def run(
    vocabulary: Vocabulary, corpus: TextCorpus, num_characters: int, seed: int, bar: tqdm[None]
) -> dict[str, Any]:
    """Train one network and measure it on the way and at the end."""
    train = beginning(corpus.documents["train"], num_characters)
    ids = vocabulary.encode_batch(train)
    num_tokens, length = sum(map(len, ids)) + len(ids), count_characters(train)
    window = max(1, round(WINDOW_CHARACTERS * num_tokens / length))
    model = make_model(vocabulary.vocab_size, seed)
    counts_V = np.bincount(stream_of(ids, vocabulary.eos_id)[1:], minlength=vocabulary.vocab_size)
    start_from_frequencies(model, counts_V)
    windows = StreamWindows(
        ids,
        boundary_id=vocabulary.eos_id,
        batch_size=BATCH_SIZE,
        window=window,
        restart_rate=0.05,
        seed=seed,
    )
    num_steps = max(1, round(windows.num_windows * num_characters / length))
    checked = beginning(corpus.documents["validation"], CHECKED_CHARACTERS)
    is_stream = corpus.unit == "stream"
    curve: list[tuple[int, float]] = []

    def check(step: int) -> None:
        if (step * NUM_CHECKS) // num_steps > len(curve):
            bits = bits_per_character(model, vocabulary, checked, stream=is_stream)
            curve.append((round(num_characters * step / num_steps), round(bits, 4)))

    bar.reset(total=num_steps)
    started = time.monotonic()
    fit(
        model,
        NextWindow(model, windows),
        num_steps=num_steps,
        peak_rate=PEAK_RATE,
        bar=bar,
        after_step=check,
    )
    seconds = time.monotonic() - started
    test = beginning(corpus.documents["test"], TESTED_CHARACTERS)
    bits = bits_per_character(model, vocabulary, test, stream=is_stream)
    return {
        "curve": curve,
        "bits_per_character": round(bits, 4),
        "facts": {
            "vocab_size": vocabulary.vocab_size,
            "parameters": num_parameters(model),
            "parameters_but_embedding": num_parameters(model.stack),
            "characters_per_token": round(length / num_tokens, 4),
            "steps": num_steps,
            "seconds": round(seconds),
        },
    }


def make_model(vocab_size: int, seed: int) -> LanguageModel:
    """Make an LSTM whose output matrix is its embedding, so that vocabularies of any size have the same network."""
    torch.manual_seed(seed)
    return LanguageModel(
        LanguageModelConfig(vocab_size=vocab_size, embedding_size=WIDTH, num_layers=1)
    )


def count_characters(documents: Sequence[str]) -> int:
    """Count characters, and one for the end of each text."""
    return sum(len(document) + 1 for document in documents)


def bits_per_character(
    model: LanguageModel, vocabulary: Vocabulary, documents: Sequence[str], *, stream: bool
) -> float:
    """Return the bits that a network needs for texts, by character."""
    ids = vocabulary.encode_batch(documents)
    nats_a_token = cross_entropy(model, ids, vocabulary.eos_id, stream=stream)
    num_tokens = sum(map(len, ids)) + len(ids)
    return nats_a_token * num_tokens / math.log(2) / count_characters(documents)


def table(figures: dict[str, Any]) -> str:
    """Write what every vocabulary came to."""
    header = ("", "vocabulary", "characters/token", "bits/character", "seconds")
    lines = ["{:12}{:>12}{:>18}{:>16}{:>9}".format(*header)]
    for kind in KINDS:
        facts = figures[kind]
        lines.append(
            f"{kind:12}{facts['vocab_size']:12,}{facts['characters_per_token']:18.3f}"
            f"{fmean(facts['bits_per_character']):16.3f}{facts['seconds']:9}"
        )
    return "\n".join(lines)


def draw(figures: dict[str, Any]) -> Figure:
    """Draw bits per character while training."""
    figure, (axes,) = panels(width=7.6)
    ends = []
    for kind, colour in KINDS.items():
        facts = figures[kind]
        read, bits = zip(*facts["curve"], strict=True)
        axes.plot([number / 1e6 for number in read], bits, "o-", color=colour, markersize=4)
        name = f"{kind}, {facts['characters_per_token']:.2f} a token"
        ends.append(
            (
                read[-1] / 1e6,
                bits[-1],
                name.replace("characters, 1.00 a token", "characters"),
                colour,
            )
        )
    best = min(KINDS, key=lambda kind: fmean(figures[kind]["bits_per_character"]))
    axes.set(xlabel="characters of text read, millions", ylabel="bits per character, validation")
    axes.set_xlim(left=0)
    axes.set_title(f"After as many characters read, {best} need the fewest bits")
    name_ends(axes, ends)
    return figure
