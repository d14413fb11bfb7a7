"""A runner made by hand: a model whose whole memory is one number, without torch and without native code.

What it predicts is a formula of the tokens that were read, so that a test computes it on its own:

>>> fake_log_probs([BOUNDARY, 4, 5])[6]  # how likely 6 is after them

It honours biases, allowed tokens, `ignore_eos` and the temperature; of the other sampling parameters it knows nothing.
A neural cache counts how often each token followed, and compares no states.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.sequence import Sequence
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose, Status

VOCAB_SIZE = 30
BOUNDARY = 1
GATED, BREAKING = 28, 29
"""Tokens for gates and faults, which tests do not write by chance; see `token_operations`."""
LIMIT = 30
"""Seconds that anything in a test may wait."""
STATE_BYTES = 8
_EMPTY = 1


class Gate:
    """Where a runner stops before it reads a token, until a test opens it.

    Attributes
    ----------
    is_reached
        Set when a runner waits.
    """

    def __init__(self, token_id: int = GATED) -> None:
        self.token_id = token_id
        self.is_reached = threading.Event()
        self._is_open = threading.Event()

    def open(self) -> None:
        """Release whoever waits, or will come."""
        self._is_open.set()

    def hold(self) -> None:
        """Wait until it is open."""
        self.is_reached.set()
        assert self._is_open.wait(LIMIT), "nobody has opened the gate"


class FakeRunner:
    """Slots that hold a number each, and steps in plain Python.

    Parameters
    ----------
    hidden_size
        Elements of a hidden state; 0 for a model that reports none.
    is_quick
        Whether short requests may be answered on the thread that asks.
    breaks_on
        A token at which a step raises ValueError; None for none.
    gate
        Where a step waits.

    Attributes
    ----------
    num_rows
        Rows of every step that was made.
    """

    def __init__(
        self,
        *,
        vocab_size: int = VOCAB_SIZE,
        eos_id: int = BOUNDARY,
        hidden_size: int = 0,
        is_quick: bool = False,
        breaks_on: int | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.shape = ModelShape(vocab_size, eos_id, hidden_size, STATE_BYTES)
        self.interrupt = ctypes.c_int32(0)
        self.is_quick = is_quick
        self.num_rows: list[int] = []
        self._breaks_on = breaks_on
        self._gate = gate
        self._slots: dict[int, int] = {}

    def open(self, sequence: Sequence, packed: bytes | None) -> None:
        self._slots[sequence.slot] = _EMPTY if packed is None else int.from_bytes(packed, "little")

    def fork(self, source: Sequence, target: Sequence) -> None:
        self._slots[target.slot] = self._slots[source.slot]

    def pack(self, sequence: Sequence) -> bytes:
        return self._slots[sequence.slot].to_bytes(STATE_BYTES, "little")

    def run(self, sequences: list[Sequence], max_steps: int) -> int:
        for num_steps in range(1, max_steps + 1):
            rows = [sequence for sequence in sequences if sequence.is_running]
            if not rows:
                return num_steps - 1
            for row in rows:
                self._step(row)
            self.num_rows.append(len(rows))
            if self.interrupt.value or any(map(_has_result, rows)):
                return num_steps
        return max_steps

    def _step(self, sequence: Sequence) -> None:
        """Read a token, and use what follows it."""
        native = sequence.native
        token_id = int(native.tokens[native.struct.num_read])
        if self._gate and self._gate.token_id == token_id:
            self._gate.hold()
        if token_id == self._breaks_on:
            raise ValueError(f"token {token_id} breaks a step")
        memory = self._slots[sequence.slot] = _read(self._slots[sequence.slot], token_id)
        if native.hidden is not None:
            native.hidden[native.struct.num_read] = _hidden(memory, native.hidden.shape[1])
        native.struct.num_read += 1
        if native.is_prefill_only:
            if not native.num_unread:
                native.struct.status = Status.FULL
        elif native.purpose is Purpose.SCORE or not native.num_unread:
            logits = _blend(native, _logits(memory, self.shape.vocab_size))
            _ANSWERS[native.purpose](native, logits, self.shape.eos_id)


def fake_engine(config: EngineConfig | None = None, **options: object) -> Engine:
    """Make an engine whose runner is a fake one, of these options."""
    return Engine(FakeRunner(**options), config or EngineConfig())  # type: ignore[arg-type]


def fake_log_probs(token_ids: Iterable[int], vocab_size: int = VOCAB_SIZE) -> NDArray[np.float64]:
    """Return the log-probability of every token after these, of which the first is the boundary, float64 [V]."""
    memory = _EMPTY
    for token_id in token_ids:
        memory = _read(memory, token_id)
    return _normalised(_logits(memory, vocab_size))


def _read(memory: int, token_id: int) -> int:
    """Return what is remembered after one token more."""
    return (memory * 48_271 + token_id + 1) % (2**31 - 1)


def _logits(memory: int, vocab_size: int) -> NDArray[np.float64]:
    logits: NDArray[np.float64] = memory % 9_973 * np.arange(1, vocab_size + 1) % 101 / 25
    return logits


def _hidden(memory: int, size: int) -> NDArray[np.uint8]:
    elements: NDArray[np.uint8] = (memory % 9_973 * np.arange(1, size + 1) % 256).astype(np.uint8)
    return elements


def _normalised(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = float(logits.max())
    return logits - (largest + math.log(np.exp(logits - largest).sum()))


def _has_result(sequence: Sequence) -> bool:
    struct = sequence.native.struct
    return not sequence.is_running or bool(struct.num_read == struct.mark)


def _uniform(seed: int, position: int) -> float:
    """Return a number in [0, 1) by seed and position."""
    return (seed * 7_919 + position * 104_729 + 12_345) % 1_009 / 1_009


def _blend(native: NativeSequence, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blend predictions with how often each token is in the cache; of a score note that alone."""
    cache = native.struct.cache
    if not cache.keys:
        return logits
    values = (ctypes.c_int32 * cache.window).from_address(cache.values)
    seen = [values[(cache.first + entry) % cache.window] for entry in range(cache.num_entries)]
    place = native.struct.num_read - 1
    if native.purpose is Purpose.SCORE:
        seen += native.tokens[1 : place + 1].tolist()
    seen = seen[-cache.window :]
    shares = np.bincount(np.array(seen, int), minlength=len(logits)) / max(1, len(seen))
    if native.purpose is Purpose.SCORE:
        assert native.cache_probs is not None
        native.cache_probs[place] = shares[native.tokens[place + 1]]
        return logits
    if not seen:
        return logits
    blended: NDArray[np.float64] = np.log(
        (1 - cache.weight) * np.exp(_normalised(logits)) + cache.weight * shares
    )
    return blended


def _changed(
    native: NativeSequence, logits: NDArray[np.float64], eos_id: int
) -> NDArray[np.float64]:
    """Return the logits that tokens are chosen by."""
    changed = logits.copy()
    for token_id, bias in native.sampling.logit_bias:
        changed[token_id] += bias
    if native.sampling.ignore_eos:
        changed[eos_id] = -np.inf
    if (allowed := native.sampling.allowed) is not None:
        ids = np.arange(len(logits))
        changed[(allowed[ids // 64] >> (ids % 64).astype(np.uint64) & np.uint64(1)) == 0] = -np.inf
    return changed


def _note_top(native: NativeSequence, log_probs: NDArray[np.float64], place: int) -> None:
    if native.top_ids is not None and native.top_logprobs is not None:
        likeliest = np.argsort(-log_probs, kind="stable")[: native.top_ids.shape[1]]
        native.top_ids[place], native.top_logprobs[place] = likeliest, log_probs[likeliest]


def _write(native: NativeSequence, logits: NDArray[np.float64], eos_id: int) -> None:
    """Choose a token: the likeliest, or by inverting the cumulative distribution."""
    struct, sampling = native.struct, native.sampling
    changed, log_probs = _changed(native, logits, eos_id), _normalised(logits)
    if sampling.temperature < 1e-4:
        token_id = int(changed.argmax())
    else:
        weights = np.exp((changed - changed.max()) / sampling.temperature)
        point = _uniform(sampling.seed, struct.position + struct.num_tokens) * weights.sum()
        token_id = int(np.searchsorted(weights.cumsum(), point, side="right"))
    native.logprobs[struct.num_found] = log_probs[token_id]
    _note_top(native, log_probs, struct.num_found)
    native.tokens[struct.num_tokens] = token_id
    struct.num_found += 1
    struct.num_tokens += 1
    if token_id == eos_id:
        struct.status = Status.STOPPED
    elif struct.num_found >= struct.max_written:
        struct.status = Status.FULL


def _score(native: NativeSequence, logits: NDArray[np.float64], _eos_id: int) -> None:
    struct, place = native.struct, native.struct.num_found
    target = native.tokens[place + 1]
    log_probs = _normalised(logits)
    native.logprobs[place] = log_probs[target]
    if struct.num_candidates:
        among = logits[_candidates(native)]
        native.logprobs[place] = logits[target] - (among[0] - _normalised(among)[0])
    if native.ranks is not None:
        native.ranks[place] = 1 + int((logits > logits[target]).sum())
    _note_top(native, log_probs, place)
    struct.num_found += 1
    if place + 2 == struct.num_tokens:
        struct.status = Status.ANSWERED


def _predict(native: NativeSequence, logits: NDArray[np.float64], _eos_id: int) -> None:
    native.struct.status = Status.ANSWERED
    if native.struct.num_candidates:
        assert native.log_probs is not None
        native.log_probs[:] = _normalised(logits[_candidates(native)])
        return
    log_probs = _normalised(logits)
    if native.log_probs is not None:
        native.log_probs[:] = log_probs
    native.struct.entropy = -float((np.exp(log_probs) * log_probs).sum())
    _note_top(native, log_probs, 0)


def _branch(native: NativeSequence, logits: NDArray[np.float64], eos_id: int) -> None:
    log_probs = _normalised(logits)
    scores = _changed(native, log_probs, eos_id)
    best = np.argsort(-scores, kind="stable")[: len(native.branch_ids)]
    native.branch_ids[:], native.branch_scores[:] = best, scores[best]
    native.branch_logprobs[:] = log_probs[best]
    _note_top(native, log_probs, 0)
    native.struct.status = Status.ANSWERED


def _candidates(native: NativeSequence) -> list[int]:
    struct = native.struct
    return list((ctypes.c_int32 * struct.num_candidates).from_address(struct.candidates))


_ANSWERS = {
    Purpose.GENERATE: _write,
    Purpose.SCORE: _score,
    Purpose.PREDICT: _predict,
    Purpose.BRANCH: _branch,
}
