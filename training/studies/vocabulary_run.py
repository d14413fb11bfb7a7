"""One network on the text of one vocabulary: trained, and measured in bits per character.

Shapes: V vocabulary.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
from refrain.training.setup.language_model import start_from_frequencies
from refrain.training.studies.networks import CPU, fit, num_parameters
from refrain.training.studies.spelling import Vocabulary
from refrain.training.studies.texts import beginning

WIDTH = 256
BATCH_SIZE = 16
WINDOW_CHARACTERS = 64
"""Length of a window; in tokens it is as many as these characters make."""
PEAK_RATE = 5e-3
NUM_CHECKS = 6
"""How often the bits per character are measured on the way."""
CHECKED_CHARACTERS, TESTED_CHARACTERS = 8_000, 40_000


class NextWindow:
    """The loss of one window after another, the state carried over; a new epoch when the text is out."""

    def __init__(self, model: LanguageModel, windows: WindowSource) -> None:
        self._model = model
        self._windows = self._endless(windows)
        self._state: RecurrentState | None = None

    def __call__(self) -> Tensor:
        """Read the next window and return its mean loss in nats a token."""
        total, num_targets, state = window_loss(self._model, next(self._windows), self._state, CPU)
        self._state = state.detach()
        return total / num_targets

    @staticmethod
    def _endless(windows: WindowSource) -> Iterator[Window]:
        for epoch in itertools.count():
            yield from windows.epoch(epoch)


@dataclass(frozen=True)
class TrainingText:
    """The part of the training texts that is read, as characters and as tokens.

    Attributes
    ----------
    num_tokens, length
        Its tokens and characters, the end of each text among them.
    """

    ids: Sequence[Sequence[int]]
    num_tokens: int
    length: int

    @classmethod
    def encode(cls, vocabulary: Vocabulary, documents: Sequence[str]) -> TrainingText:
        """Encode texts by a vocabulary."""
        ids = vocabulary.encode_batch(documents)
        return cls(ids, sum(map(len, ids)) + len(ids), count_characters(documents))


def run(
    vocabulary: Vocabulary, corpus: TextCorpus, num_characters: int, seed: int, bar: tqdm[None]
) -> dict[str, Any]:
    """Train one network and measure it on the way and at the end."""
    documents = beginning(corpus.documents["train"], num_characters)
    text = TrainingText.encode(vocabulary, documents)
    model = make_model(vocabulary.vocab_size, seed)
    windows = _windows(model, vocabulary, text, seed)
    num_steps = max(1, round(windows.num_windows * num_characters / text.length))
    bar.reset(total=num_steps)
    started = time.monotonic()
    curve = _train(model, vocabulary, corpus, windows, num_characters, num_steps, bar)
    seconds = time.monotonic() - started
    test = beginning(corpus.documents["test"], TESTED_CHARACTERS)
    bits = bits_per_character(model, vocabulary, test, stream=corpus.unit == "stream")
    return {
        "curve": curve,
        "bits_per_character": round(bits, 4),
        "facts": {
            "vocab_size": vocabulary.vocab_size,
            "parameters": num_parameters(model),
            "parameters_but_embedding": num_parameters(model.stack),
            "characters_per_token": round(text.length / text.num_tokens, 4),
            "steps": num_steps,
            "seconds": round(seconds),
        },
    }


def _windows(
    model: LanguageModel, vocabulary: Vocabulary, text: TrainingText, seed: int
) -> StreamWindows:
    """Cut the text to windows, and start the model from the frequencies of its tokens."""
    stream = stream_of(text.ids, vocabulary.eos_id)
    start_from_frequencies(model, np.bincount(stream[1:], minlength=vocabulary.vocab_size))
    return StreamWindows(
        text.ids,
        eos_id=vocabulary.eos_id,
        batch_size=BATCH_SIZE,
        window=max(1, round(WINDOW_CHARACTERS * text.num_tokens / text.length)),
        restart_rate=0.05,
        seed=seed,
    )


def _train(
    model: LanguageModel,
    vocabulary: Vocabulary,
    corpus: TextCorpus,
    windows: StreamWindows,
    num_characters: int,
    num_steps: int,
    bar: tqdm[None],
) -> list[tuple[int, float]]:
    """Train, and return the characters read and the bits per character of each check on the way."""
    checked = beginning(corpus.documents["validation"], CHECKED_CHARACTERS)
    is_stream = corpus.unit == "stream"
    curve: list[tuple[int, float]] = []

    def check(step: int) -> None:
        if (step * NUM_CHECKS) // num_steps > len(curve):
            bits = bits_per_character(model, vocabulary, checked, stream=is_stream)
            curve.append((round(num_characters * step / num_steps), round(bits, 4)))

    fit(
        model,
        NextWindow(model, windows),
        num_steps=num_steps,
        peak_rate=PEAK_RATE,
        bar=bar,
        after_step=check,
    )
    return curve


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
