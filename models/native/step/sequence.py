"""One text with a cursor, in memory that the native step reads and writes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence as Ids
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.native.step.structures import CacheStruct, Purpose, SequenceStruct, Status

MAX_ENTRIES = 16_384
"""Most entries of a neural cache."""
_SAMPLED = tuple(
    name
    for name, _ in SequenceStruct._fields_
    if name in SamplingParams.__dataclass_fields__
    and name not in ("logit_bias", "allowed", "max_tokens")
)
"""Sampling parameters that stand in the structure under their own names."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a sequence needs to know of the model that reads it.

    Attributes
    ----------
    eos_id
        The token that begins and ends every text.
    hidden_size
        Elements of a hidden state as a neural cache keeps it; 0 where the runner cannot report one.
    state_bytes
        Length of a packed state.
    """

    vocab_size: int
    eos_id: int
    hidden_size: int = 0
    state_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Want:
    """What a text is to report beside its tokens.

    Attributes
    ----------
    top
        Likeliest tokens beside each token that is written or scored, or of a prediction.
    ranks
        Of a score: each target's rank among all tokens.
    state
        The state to go on from.
    hidden
        The last layer's states: of a score before each target, of a text that is only read after each token.
    distribution
        Of a prediction: the log-probability of every token, not of the top alone.
    branches
        Of a search: the tokens that each hypothesis may best go on with.
    """

    top: int = 0
    ranks: bool = False
    state: bool = False
    hidden: bool = False
    distribution: bool = True
    branches: int = 0


NOTHING = Want()


@dataclass(frozen=True)
class CacheView:
    """Entries of a neural cache as they are now, which only the integer form of a model can read.

    Attributes
    ----------
    keys, values
        A ring of hidden states, uint8 [window, size] with zero point 128, and of the token that followed each, int32.
    first, num_entries
        Index of the oldest entry, and how many there are.
    inverse_temperature, weight
        See `NeuralCacheConfig`.
    """

    keys: NDArray[np.uint8]
    values: NDArray[np.int32]
    first: int
    num_entries: int
    inverse_temperature: float
    weight: float


class NativeSequence:
    """Tokens to read, what is wanted of them, and what was found out.

    Parameters
    ----------
    tokens
        What is to be read: the boundary and the text, or what goes on from a state.
    position
        Tokens of the text before these: what a state has read.
    cache
        What the text has had, to blend predictions with. A score stays the model's own, and reports hidden states and
        what the cache alone gives each token, those of the same call before it counted.
    candidates
        The tokens among which alone a prediction or a score is normalised; every target of a score is one of them.

    Raises
    ------
    InvalidParameterError
        If a token is not in the vocabulary.
    """

    def __init__(
        self,
        purpose: Purpose,
        tokens: Ids[int],
        shape: ModelShape,
        *,
        position: int = 0,
        sampling: SamplingParams = GREEDY,
        want: Want = NOTHING,
        candidates: Ids[int] = (),
        cache: CacheView | None = None,
    ) -> None:
        num_given = len(tokens)
        assert num_given > (purpose is Purpose.SCORE)
        is_written = purpose in (Purpose.GENERATE, Purpose.BRANCH)
        max_written = sampling.max_tokens if is_written else 0
        self.purpose = purpose
        self.sampling = sampling
        self.is_prefill_only = purpose is Purpose.GENERATE and not max_written
        self.writes = purpose is Purpose.GENERATE and max_written > 0
        self.tokens: NDArray[np.int32] = np.empty(num_given + max_written, np.int32)
        self.tokens[:num_given] = _known_ids(tokens, shape.vocab_size)
        num_found = {Purpose.GENERATE: max_written, Purpose.SCORE: num_given - 1}.get(purpose, 0)
        self.logprobs: NDArray[np.float32] = np.empty(num_found, np.float32)
        self.ranks: NDArray[np.int32] | None = None
        self.top_ids: NDArray[np.int32] | None = None
        self.top_logprobs: NDArray[np.float32] | None = None
        self.log_probs: NDArray[np.float32] | None = None
        self.hidden: NDArray[np.uint8] | None = None
        self.cache_probs: NDArray[np.float32] | None = None
        self.struct = SequenceStruct(
            tokens=self.tokens.ctypes.data,
            logprobs=self.logprobs.ctypes.data,
            position=position,
            purpose=purpose,
            num_tokens=num_given,
            num_given=num_given,
            mark=-1,
            max_written=max_written,
        )
        self._kept: list[object] = []
        if max_written:
            self._sample_by(sampling, shape.vocab_size)
        if cache is not None:
            self._adapt(cache, num_found)
        if len(candidates):
            self._restrict(_known_ids(candidates, shape.vocab_size))
        self._report(want, num_found, shape)

    def _report(self, want: Want, num_found: int, shape: ModelShape) -> None:
        """Allocate room for what is reported of each of the tokens that are found, or of the next one."""
        is_score, num_candidates = self.purpose is Purpose.SCORE, self.struct.num_candidates
        if want.hidden and (is_score or self.is_prefill_only) and self.hidden is None:
            self._keep_hidden(num_found if is_score else len(self.tokens), shape.hidden_size)
        if num_candidates or (self.purpose is Purpose.PREDICT and want.distribution):
            self.log_probs = np.empty(num_candidates or shape.vocab_size, np.float32)
            self.struct.log_probs = self.log_probs.ctypes.data
        if is_score and want.ranks:
            self.ranks = np.zeros(num_found, np.int32)
            self.struct.ranks = self.ranks.ctypes.data
        if self.purpose is Purpose.BRANCH:
            self._branch(min(want.branches, shape.vocab_size))
        if want.top:
            is_one = self.purpose in (Purpose.PREDICT, Purpose.BRANCH)
            self._keep_top(1 if is_one else num_found, min(want.top, shape.vocab_size))

    def _keep_top(self, count: int, num_top: int) -> None:
        """Allocate room for the likeliest tokens."""
        self.top_ids = np.empty((count, num_top), np.int32)
        self.top_logprobs = np.empty((count, num_top), np.float32)
        self.struct.num_top = num_top
        self.struct.top_ids = self.top_ids.ctypes.data
        self.struct.top_logprobs = self.top_logprobs.ctypes.data

    def _adapt(self, cache: CacheView, num_found: int) -> None:
        """Pass a cache, and keep its memory."""
        self._kept.append(cache)
        size = cache.keys.shape[1]
        self.struct.cache = CacheStruct(
            keys=cache.keys.ctypes.data,
            values=cache.values.ctypes.data,
            size=size,
            window=len(cache.keys),
            first=cache.first,
            num_entries=cache.num_entries,
            inverse_temperature=cache.inverse_temperature,
            weight=cache.weight,
        )
        if self.purpose is Purpose.SCORE:
            self._keep_hidden(num_found, size)
            self.cache_probs = np.empty(num_found, np.float32)
            self.struct.cache_probs = self.cache_probs.ctypes.data

    def _keep_hidden(self, count: int, size: int) -> None:
        """Allocate room for hidden states."""
        self.hidden = np.empty((count, size), np.uint8)
        self.struct.hidden = self.hidden.ctypes.data

    def _branch(self, num_branches: int) -> None:
        """Allocate room for the tokens that the text may best go on with."""
        self.branch_ids: NDArray[np.int32] = np.empty(num_branches, np.int32)
        self.branch_scores: NDArray[np.float32] = np.empty(num_branches, np.float32)
        self.branch_logprobs: NDArray[np.float32] = np.empty(num_branches, np.float32)
        self.struct.branch_ids = self.branch_ids.ctypes.data
        self.struct.branch_scores = self.branch_scores.ctypes.data
        self.struct.branch_logprobs = self.branch_logprobs.ctypes.data
        self.struct.num_branches = num_branches

    def _restrict(self, candidates: NDArray[np.int32]) -> None:
        """Pass candidates, and keep their memory."""
        self._kept.append(candidates)
        self.struct.candidates = candidates.ctypes.data
        self.struct.num_candidates = len(candidates)

    def _sample_by(self, sampling: SamplingParams, vocab_size: int) -> None:
        """Pass how tokens are chosen, and keep the memory of biases and allowed tokens."""
        for name in _SAMPLED:
            setattr(self.struct, name, getattr(sampling, name))
        if sampling.allowed is not None:
            if sampling.allowed.size <= vocab_size // 64:
                raise InvalidParameterError(
                    f"allowed has one bit for each of {vocab_size:,} tokens"
                )
            self._kept.append(sampling.allowed)
            self.struct.allowed = sampling.allowed.ctypes.data
        if sampling.logit_bias:
            ids, values = zip(*sampling.logit_bias, strict=True)
            bias_ids = _known_ids(ids, vocab_size)
            bias_values = np.array(values, np.float32)
            self._kept += [bias_ids, bias_values]
            self.struct.bias_ids = bias_ids.ctypes.data
            self.struct.bias_values = bias_values.ctypes.data
            self.struct.num_bias = len(ids)

    def push(self, token_id: int) -> None:
        """Append a token, which is to be read next."""
        self.tokens[self.struct.num_tokens] = token_id
        self.struct.num_tokens += 1
        self.struct.status = Status.RUNNING

    def copy_text(self, other: NativeSequence) -> None:
        """Become the text of another sequence of the same capacity, as far as it has been read."""
        count = other.struct.num_tokens
        self.tokens[:count] = other.tokens[:count]
        self.struct.num_tokens, self.struct.num_read = count, other.struct.num_read
        self.struct.parity = other.struct.parity

    @property
    def status(self) -> Status:
        """Whether it runs, or how it ended."""
        return Status(self.struct.status)

    @property
    def num_unread(self) -> int:
        """Tokens that the state has not seen."""
        return self.struct.num_tokens - self.struct.num_read

    @property
    def unread(self) -> list[int]:
        """The tokens that the state has not seen: of a finished text, the last one."""
        ids: list[int] = self.tokens[self.struct.num_read : self.struct.num_tokens].tolist()
        return ids


def _known_ids(ids: Ids[int], vocab_size: int) -> NDArray[np.int32]:
    """Return token ids as native code takes them, after checking that the model has a row for each.

    Native code would read foreign memory where it has none.
    """
    if len(ids) and not (min(ids) >= 0 and max(ids) < vocab_size):
        raise InvalidParameterError(f"token ids go from 0 to {vocab_size - 1:,}")
    return np.array(ids, np.int32)


class SequenceList:
    """Pointers to sequences, as the native calls take them."""

    def __init__(self, sequences: Ids[NativeSequence]) -> None:
        self._kept = list(sequences)
        self.count = len(self._kept)
        pointers = [ctypes.pointer(sequence.struct) for sequence in sequences]
        self.pointers = (ctypes.POINTER(SequenceStruct) * len(pointers))(*pointers)
