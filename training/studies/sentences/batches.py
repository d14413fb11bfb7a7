"""Pairs of sentences as batches of token ids.

Shapes: B rows, T times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from refrain.models.networks.padding import pad_texts
from refrain.training.studies.sentences.pairs import Pair

BOUNDARY_ID = 0


def draw_pair(random: np.random.Generator, by_pattern: Sequence[Sequence[Pair]]) -> Pair:
    """Draw a pattern, each as often, and a pair of it."""
    pairs = by_pattern[int(random.integers(len(by_pattern)))]
    return pairs[int(random.integers(len(pairs)))]


def number_words(pairs: Sequence[Pair]) -> dict[str, int]:
    """Number all words from 1 on; 0 is the boundary."""
    words = sorted({word for pair in pairs for word in pair.sentences[0]})
    return {word: index for index, word in enumerate(words, start=1)}


def encode(pairs: Sequence[Pair], ids: Mapping[str, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens_BT, lengths_B and labels_B of both sentences of every pair, one behind the other."""
    texts = [[ids[word] for word in sentence] for pair in pairs for sentence in pair.sentences]
    labels_B = torch.tensor([label for pair in pairs for label in pair.labels])
    return *pad_texts(texts, BOUNDARY_ID), labels_B
