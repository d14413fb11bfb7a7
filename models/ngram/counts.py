"""Counting n-grams of every length, in numpy and without a loop over n-grams.

A corpus is one stream of tokens: the boundary, then each document followed by the boundary. So one
boundary token ends a document and begins the next, and no n-gram may have it inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from refrain.models.config import NGramConfig
from refrain.models.errors import ConfigError

Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class NGramCounts:
    """Adjusted counts of all n-grams of a corpus.

    Attributes
    ----------
    keys
        For each length n = 2 .. order the sorted int64 keys `prefix * V + word`, where `prefix` is
        the index of the first n - 1 tokens among the n-grams of that length (of one token: its id).
    counts
        For each length n = 1 .. order, int32, one count a key; single tokens stand at their id.
    """

    keys: tuple[Ints, ...]
    counts: tuple[Counts, ...]


@dataclass(frozen=True)
class _Length:
    """All n-grams of one length, by node, and where they stand in the stream.

    Attributes
    ----------
    keys
        As in `NGramCounts`.
    occurrences
        How often each n-gram occurs.
    opens_text
        Whether it begins with the boundary.
    suffixes
        The node of the same n-gram without its first token.
    starts
        Positions of the stream at which an n-gram begins.
    nodes
        For every position of the stream the n-gram that begins there, or -1.
    """

    keys: Ints
    occurrences: Ints
    opens_text: NDArray[np.bool_]
    suffixes: Ints
    starts: Ints
    nodes: Ints


def count_ngrams(
    documents: Iterable[Sequence[int]], config: NGramConfig, progress: Progress | None = None
) -> NGramCounts:
    """Count the n-grams of token ids, as modified Kneser-Ney smoothing wants them.

    The longest n-grams, and those that begin with the boundary, have the number of their
    occurrences; all others the number of different tokens that come before them (Chen & Goodman
    1998, section 2.7). The exception for the boundary, which nothing can come before, is that of
    SRILM and KenLM.

    Parameters
    ----------
    documents
        Token ids of each document, without the boundary. One may be empty.
    progress
        Called after each length with the length and the number of different n-grams.

    Raises
    ------
    ConfigError
        If a token id lies outside the vocabulary.
    """
    stream = _join(documents, config)
    last = _single_tokens(stream, config.vocab_size)
    keys: list[Ints] = []
    counts: list[Counts] = []
    for length in range(1, config.order + 1):
        if length < config.order:
            longer = _extend(last, stream, length + 1, config)
            counts.append(_adjust(last, longer))
            keys.append(longer.keys)
            last = longer
        else:
            counts.append(last.occurrences.astype(np.int32))
        if progress is not None:
            progress(length, int(np.count_nonzero(counts[-1])))
    return NGramCounts(tuple(keys), tuple(counts))


def _join(documents: Iterable[Sequence[int]], config: NGramConfig) -> Ints:
    boundary = (config.eos_id,)
    pieces = chain((boundary,), *((document, boundary) for document in documents))
    stream = np.fromiter(chain.from_iterable(pieces), dtype=np.int64)
    lowest, highest = stream.min(), stream.max()
    if lowest < 0 or highest >= config.vocab_size:
        raise ConfigError(
            f"token id {lowest if lowest < 0 else highest} lies outside the vocabulary of "
            f"{config.vocab_size}: count with the tokenizer that the vocabulary belongs to"
        )
    return stream


def _single_tokens(stream: Ints, vocab_size: int) -> _Length:
    """Take each token as an n-gram of length 1.

    The boundary counts as the end of a text, which other tokens precede; the one that begins the
    stream ends nothing.
    """
    return _Length(
        keys=np.arange(vocab_size),
        occurrences=np.bincount(stream[1:], minlength=vocab_size),
        opens_text=np.zeros(vocab_size, dtype=np.bool_),
        suffixes=np.zeros(vocab_size, dtype=np.int64),
        starts=np.arange(len(stream)),
        nodes=stream,
    )


def _extend(last: _Length, stream: Ints, length: int, config: NGramConfig) -> _Length:
    """Make n-grams one token longer wherever the stream goes on and no boundary gets inside."""
    starts = last.starts[last.starts + length <= len(stream)]
    if length > 2:
        starts = starts[stream[starts + length - 2] != config.eos_id]
    keys, first, nodes_of_starts, occurrences = np.unique(
        last.nodes[starts] * config.vocab_size + stream[starts + length - 1],
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    nodes = np.full(len(stream), -1)
    nodes[starts] = nodes_of_starts
    return _Length(
        keys=keys,
        occurrences=occurrences,
        opens_text=stream[starts[first]] == config.eos_id,
        suffixes=last.nodes[starts[first] + 1],
        starts=starts,
        nodes=nodes,
    )


def _adjust(shorter: _Length, longer: _Length) -> Counts:
    """Count the different tokens before each n-gram; its occurrences where a text begins."""
    continuations = np.bincount(longer.suffixes, minlength=len(shorter.keys))
    adjusted = np.where(shorter.opens_text, shorter.occurrences, continuations)
    return adjusted.astype(np.int32)
