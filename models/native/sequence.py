"""One text with a cursor, in memory that the native step reads and writes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence as Ids
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.native.structures import CacheStruct, Purpose, SequenceStruct, Status

MAX_ENTRIES = 16_384
"""Most entries of a neural cache."""


@dataclass(frozen=True)
class SamplingParams:
    """How to choose tokens.

    Attributes
    ----------
    temperature
        0 takes the likeliest token.
    top_k, top_p, min_p
        Keep the k likeliest; the likeliest with this much probability; those with this share of the likeliest's.
    repetition_penalty
        Divides the positive logits of tokens already in the text, and multiplies the negative ones.
    frequency_penalty, presence_penalty
        Taken off the logits of tokens already written: for each time, and once.
    ignore_eos
        Never end by itself.
    logit_bias
        Added to the logits of tokens; -inf bans one.
    allowed
        One bit a token, uint64 [V / 64 + 1]: the tokens that may be written; None allows all.
    """

    seed: int = 0
    max_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    ignore_eos: bool = False
    logit_bias: tuple[tuple[int, float], ...] = ()
    allowed: NDArray[np.uint64] | None = None


GREEDY = SamplingParams(temperature=0.0)


@dataclass(frozen=True)
class CacheView:
    """Entries of a neural cache as they are now, which only the integer form of a model can read.

    Attributes
    ----------
    keys, values
        A ring of hidden states, uint8 [window, size] with zero point 128, and of the token that followed each, int32.
    first, num_entries
        Place of the oldest entry, and how many there are.
    flatness, weight
        See `NeuralCacheConfig`.
    """

    keys: NDArray[np.uint8]
    values: NDArray[np.int32]
    first: int
    num_entries: int
    flatness: float
    weight: float

    @classmethod
    def empty(cls, size: int) -> CacheView:
        """Give one without entries: a score with it tells hidden states of so many elements, and blends nothing."""
        return cls(np.zeros((1, size), np.uint8), np.zeros(1, np.int32), 0, 0, 0.0, 0.0)


class NativeSequence:
    """Tokens to read, what is wanted of them, and what was found out.

    Parameters
    ----------
    tokens
        What is to be read: the boundary and the text, or what goes on from a state.
    position
        Tokens of the text before these: what a state has read.
    num_top
        Likeliest tokens to report beside each one written or scored.
    vocab_size
        Number of tokens V, which a look at the next token is as long as.
    cache
        What the text has had, to blend predictions with. A score stays the model's own, and tells hidden states and
        what the cache alone gives each token, those of the same call before it counted.
    candidates
        The tokens among which alone a look or a score is normalised; every target of a score is one of them.
    only_top
        Of a look: to report the top alone, not every token.
    wants_ranks
        Of a score: whether each target's rank among all tokens is counted.
    num_branches
        Of a search: the tokens to report that the text may best go on with.
    hidden_size
        Of a text that is only read: elements of the last layer's states, which are kept; 0 keeps none.
    """

    def __init__(
        self,
        purpose: Purpose,
        tokens: Ids[int],
        *,
        vocab_size: int,
        position: int = 0,
        params: SamplingParams = GREEDY,
        num_top: int = 0,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        num_branches: int = 0,
        only_top: bool = False,
        wants_ranks: bool = True,
        hidden_size: int = 0,
    ) -> None:
        assert (num_branches > 0) == (purpose is Purpose.BRANCH)
        num_given = len(tokens)
        assert num_given > (purpose is Purpose.SCORE)
        is_written = purpose in (Purpose.GENERATE, Purpose.BRANCH)
        max_written = params.max_tokens if is_written else 0
        num_found = {Purpose.GENERATE: max_written, Purpose.SCORE: num_given - 1}.get(purpose, 0)
        self.num_top = min(num_top, vocab_size)
        self.params = params
        self.purpose = purpose
        self.tokens: NDArray[np.int32] = np.empty(num_given + max_written, np.int32)
        self.tokens[:num_given] = tokens
        self.logprobs: NDArray[np.float32] = np.empty(num_found, np.float32)
        self.ranks: NDArray[np.int32] | None = None
        self.top_ids: NDArray[np.int32] | None = None
        self.top_logprobs: NDArray[np.float32] | None = None
        self.log_probs: NDArray[np.float32] | None = None
        self.struct = SequenceStruct(
            tokens=self.tokens.ctypes.data,
            logprobs=self.logprobs.ctypes.data,
            seed=params.seed,
            position=position,
            purpose=purpose,
            num_tokens=num_given,
            num_given=num_given,
            mark=-1,
            max_written=max_written,
            num_top=self.num_top,
            top_k=params.top_k,
            ignore_eos=params.ignore_eos,
            temperature=params.temperature,
            top_p=params.top_p,
            min_p=params.min_p,
            repetition_penalty=params.repetition_penalty,
            frequency_penalty=params.frequency_penalty,
            presence_penalty=params.presence_penalty,
        )
        self._constrain(params)
        self.hidden: NDArray[np.uint8] | None = None
        self.cache_probs: NDArray[np.float32] | None = None
        if cache is not None:
            self._adapt(cache, num_found)
        if hidden_size:
            assert purpose is Purpose.GENERATE
            assert not max_written
            self._keep_hidden(num_given, hidden_size)
        if len(candidates):
            self._restrict(candidates)
        if (purpose is Purpose.LOOK and not only_top) or len(candidates):
            self.log_probs = np.empty(len(candidates) or vocab_size, np.float32)
            self.struct.log_probs = self.log_probs.ctypes.data
        if purpose is Purpose.SCORE and wants_ranks:
            self.ranks = np.zeros(num_found, np.int32)
            self.struct.ranks = self.ranks.ctypes.data
        if num_branches:
            self._branch(min(num_branches, vocab_size))
        if self.num_top:
            num_found = 1 if purpose in (Purpose.LOOK, Purpose.BRANCH) else num_found
            self.top_ids = np.empty((num_found, self.num_top), np.int32)
            self.top_logprobs = np.empty((num_found, self.num_top), np.float32)
            self.struct.top_ids = self.top_ids.ctypes.data
            self.struct.top_logprobs = self.top_logprobs.ctypes.data

    def _adapt(self, cache: CacheView, num_found: int) -> None:
        """Hand over a cache, and keep its memory."""
        self._kept.append(cache)
        size = cache.keys.shape[1]
        self.struct.cache = CacheStruct(
            keys=cache.keys.ctypes.data,
            values=cache.values.ctypes.data,
            size=size,
            window=len(cache.keys),
            first=cache.first,
            num_entries=cache.num_entries,
            flatness=cache.flatness,
            weight=cache.weight,
        )
        if self.purpose is Purpose.SCORE:
            self._keep_hidden(num_found, size)
            self.cache_probs = np.empty(num_found, np.float32)
            self.struct.cache_probs = self.cache_probs.ctypes.data

    def _keep_hidden(self, count: int, size: int) -> None:
        """Make room for hidden states."""
        self.hidden = np.empty((count, size), np.uint8)
        self.struct.hidden = self.hidden.ctypes.data

    def _branch(self, num_branches: int) -> None:
        """Make room for the tokens that the text may best go on with."""
        self.branch_ids: NDArray[np.int32] = np.empty(num_branches, np.int32)
        self.branch_scores: NDArray[np.float32] = np.empty(num_branches, np.float32)
        self.branch_logprobs: NDArray[np.float32] = np.empty(num_branches, np.float32)
        self.struct.branch_ids = self.branch_ids.ctypes.data
        self.struct.branch_scores = self.branch_scores.ctypes.data
        self.struct.branch_logprobs = self.branch_logprobs.ctypes.data
        self.struct.num_branches = num_branches

    def _restrict(self, candidates: Ids[int]) -> None:
        """Hand over candidates, and keep their memory."""
        ids = np.array(candidates, np.int32)
        self._kept.append(ids)
        self.struct.candidates = ids.ctypes.data
        self.struct.num_candidates = len(ids)

    def _constrain(self, params: SamplingParams) -> None:
        """Hand over biases and allowed tokens, and keep their memory."""
        self._kept: list[object] = [params.allowed]
        if params.allowed is not None:
            self.struct.allowed = params.allowed.ctypes.data
        if params.logit_bias:
            ids, values = zip(*params.logit_bias, strict=True)
            bias_ids = (ctypes.c_int32 * len(ids))(*ids)
            bias_values = (ctypes.c_float * len(ids))(*values)
            self._kept += [bias_ids, bias_values]
            self.struct.bias_ids = ctypes.addressof(bias_ids)
            self.struct.bias_values = ctypes.addressof(bias_values)
            self.struct.num_bias = len(ids)

    def push(self, token_id: int) -> None:
        """Go on with a token, which is to be read next."""
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
    def num_written(self) -> int:
        """Tokens written so far."""
        num_written: int = self.struct.num_tokens - self.struct.num_given
        return num_written

    @property
    def num_unread(self) -> int:
        """Tokens that the state has not seen."""
        num_unread: int = self.struct.num_tokens - self.struct.num_read
        return num_unread

    @property
    def unread(self) -> list[int]:
        """The tokens that the state has not seen: of a finished text, the last one."""
        ids: list[int] = self.tokens[self.struct.num_read : self.struct.num_tokens].tolist()
        return ids


class SequenceList:
    """Pointers to sequences, as the native calls take them."""

    def __init__(self, sequences: Ids[NativeSequence]) -> None:
        self._kept = list(sequences)
        pointers = [ctypes.pointer(sequence.struct) for sequence in sequences]
        self.pointers = (ctypes.POINTER(SequenceStruct) * len(pointers))(*pointers)

    def __len__(self) -> int:
        return len(self._kept)
