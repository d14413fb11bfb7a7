"""One text with a cursor, in memory that the native step reads and writes."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import CacheStruct, Purpose, SequenceStruct, Status
from refrain.models.native.step.want import NOTHING, Want

_SAMPLED = {name for name, _ in SequenceStruct._fields_ if hasattr(GREEDY, name)} - {"allowed"}
"""Sampling parameters that stand in the structure under their own names."""


class NativeSequence:
    """Tokens to read, what is wanted of them, and what was found out.

    Parameters
    ----------
    tokens
        What is to be read: `<eos>` and the text, or what goes on from a state.
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

    logprobs: NDArray[np.float32]
    ranks: NDArray[np.int32] | None = None
    top_ids: NDArray[np.int32] | None = None
    top_logprobs: NDArray[np.float32] | None = None
    log_probs: NDArray[np.float32] | None = None
    hidden: NDArray[np.uint8] | None = None
    cache_probs: NDArray[np.float32] | None = None
    branch_ids: NDArray[np.int32]
    branch_scores: NDArray[np.float32]
    branch_logprobs: NDArray[np.float32]

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
        assert len(tokens) > (purpose is Purpose.SCORE)
        self.purpose, self.sampling = purpose, sampling
        self._kept: list[object] = [cache]
        self.struct = SequenceStruct(purpose=purpose, position=position, mark=-1)
        if purpose in (Purpose.GENERATE, Purpose.BRANCH):
            self.struct.max_written = sampling.max_tokens
        self.writes = purpose is Purpose.GENERATE and sampling.max_tokens > 0
        self.is_prefill_only = purpose is Purpose.GENERATE and not self.writes
        self.tokens = np.empty(len(tokens) + self.struct.max_written, np.int32)
        self.tokens[: len(tokens)] = _known_ids(tokens, shape.vocab_size)
        self.struct.num_tokens = self.struct.num_given = len(tokens)
        if self.struct.max_written:
            self._sample_by(sampling, shape.vocab_size)
        if cache is not None:
            self._adapt(cache)
        if len(candidates):
            self._restrict(_known_ids(candidates, shape.vocab_size))
        self._allocate(want, shape)

    def _allocate(self, want: Want, shape: ModelShape) -> None:
        """Allocate what is reported of each of the tokens that are found, or of the next one."""
        struct, purpose, is_score = self.struct, self.purpose, self.purpose is Purpose.SCORE
        num_found = struct.num_given - 1 if is_score else struct.max_written if self.writes else 0
        arrays: dict[str, NDArray[Any]] = {"tokens": self.tokens}
        arrays["logprobs"] = np.zeros(num_found, np.float32)
        if is_adaptive := is_score and bool(struct.cache.keys):
            arrays["cache_probs"] = np.zeros(num_found, np.float32)
        if is_adaptive or (want.hidden and (is_score or self.is_prefill_only)):
            count = num_found if is_score else len(self.tokens)
            size = struct.cache.size if is_adaptive else shape.hidden_size
            arrays["hidden"] = np.zeros((count, size), np.uint8)
        if is_score and want.ranks:
            arrays["ranks"] = np.zeros(num_found, np.int32)
        if struct.num_candidates or (purpose is Purpose.PREDICT and want.distribution):
            arrays["log_probs"] = np.zeros(struct.num_candidates or shape.vocab_size, np.float32)
        if want.top or purpose is Purpose.BRANCH:
            arrays |= self._alternatives(want, num_found, shape.vocab_size)
        for name, array in arrays.items():
            setattr(self, name, array)
            setattr(struct, name, array.ctypes.data)

    def _alternatives(self, want: Want, num_found: int, vocab_size: int) -> dict[str, NDArray[Any]]:
        """Return room for the likeliest tokens, and for those that a search branches to."""
        self.struct.num_top = min(want.top, vocab_size)
        self.struct.num_branches = min(want.branches, vocab_size)
        arrays: dict[str, NDArray[Any]] = {}
        if self.purpose is Purpose.BRANCH:
            arrays["branch_ids"] = np.zeros(self.struct.num_branches, np.int32)
            scores = np.zeros((2, self.struct.num_branches), np.float32)
            arrays["branch_scores"], arrays["branch_logprobs"] = scores
        if want.top:
            is_one = self.purpose in (Purpose.PREDICT, Purpose.BRANCH)
            top_shape = (1 if is_one else num_found, self.struct.num_top)
            arrays["top_ids"] = np.zeros(top_shape, np.int32)
            arrays["top_logprobs"] = np.zeros(top_shape, np.float32)
        return arrays

    def _adapt(self, cache: CacheView) -> None:
        """Pass a cache."""
        self.struct.cache = CacheStruct(
            keys=cache.keys.ctypes.data,
            values=cache.values.ctypes.data,
            size=cache.keys.shape[1],
            window=len(cache.keys),
            first=cache.first,
            num_entries=cache.num_entries,
            inverse_temperature=cache.inverse_temperature,
            weight=cache.weight,
        )

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
        return [*self.tokens[self.struct.num_read : self.struct.num_tokens].tolist()]


def _known_ids(ids: Ids[int], vocab_size: int) -> NDArray[np.int32]:
    """Return token ids as native code takes them, after checking that the model has a row for each.

    Native code would read foreign memory where it has none.
    """
    if len(ids) and not (min(ids) >= 0 and max(ids) < vocab_size):
        raise InvalidParameterError(f"token ids go from 0 to {vocab_size - 1:,}")
    return np.array(ids, np.int32)
