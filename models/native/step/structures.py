"""The C structures of step.c, field by field."""

from __future__ import annotations

from ctypes import POINTER, Structure, c_double, c_float, c_int32, c_int64, c_uint64, c_void_p
from enum import IntEnum


class Kind(IntEnum):
    """Cells that the native step knows."""

    ELMAN = 0
    GRU = 1
    LSTM = 2


class Purpose(IntEnum):
    """What a sequence is read for: to be continued, scored, its next token predicted, or branched in a search."""

    GENERATE = 0
    SCORE = 1
    PREDICT = 2
    BRANCH = 3


class Status(IntEnum):
    """Whether a sequence runs, ended by itself, reached its length, or has its answer."""

    RUNNING = 0
    STOPPED = 1
    FULL = 2
    ANSWERED = 3


class LayerStruct(Structure):
    """`Layer` of network.h."""

    _fields_ = (
        ("kind", c_int32),
        ("num_blocks", c_int32),
        ("input_size", c_int64),
        ("hidden_size", c_int64),
        ("table", c_void_p),
        ("bias", c_void_p),
        ("weight", c_void_p),
        ("offset", c_void_p),
        ("scale", c_void_p),
        ("hidden_at", c_int64 * 2),
        ("carry_at", c_int64),
    )


class NetworkStruct(Structure):
    """`Network` of network.h."""

    _fields_ = (
        ("num_layers", c_int32),
        ("vocab_size", c_int32),
        ("num_vocab_blocks", c_int32),
        ("unused", c_int32),
        ("layers", POINTER(LayerStruct)),
        ("output_weight", c_void_p),
        ("output_offset", c_void_p),
        ("output_scale", c_void_p),
        ("output_bias", c_void_p),
        ("slot_bytes", c_int64),
    )


class CacheStruct(Structure):
    """`Cache` of sample.h."""

    _fields_ = (
        ("keys", c_void_p),
        ("values", c_void_p),
        ("size", c_int64),
        ("window", c_int32),
        ("first", c_int32),
        ("num_entries", c_int32),
        ("inverse_temperature", c_float),
        ("weight", c_float),
        ("unused", c_int32),
    )


class SequenceStruct(Structure):
    """`Sequence` of sample.h."""

    _fields_ = (
        ("slot", c_void_p),
        ("tokens", c_void_p),
        ("logprobs", c_void_p),
        ("ranks", c_void_p),
        ("top_ids", c_void_p),
        ("top_logprobs", c_void_p),
        ("log_probs", c_void_p),
        ("branch_ids", c_void_p),
        ("branch_scores", c_void_p),
        ("branch_logprobs", c_void_p),
        ("bias_ids", c_void_p),
        ("bias_values", c_void_p),
        ("allowed", c_void_p),
        ("candidates", c_void_p),
        ("hidden", c_void_p),
        ("cache_probs", c_void_p),
        ("cache", CacheStruct),
        ("seed", c_uint64),
        ("position", c_int64),
        ("entropy", c_double),
        ("purpose", c_int32),
        ("status", c_int32),
        ("parity", c_int32),
        ("num_tokens", c_int32),
        ("num_given", c_int32),
        ("num_read", c_int32),
        ("num_found", c_int32),
        ("mark", c_int32),
        ("max_written", c_int32),
        ("num_bias", c_int32),
        ("num_top", c_int32),
        ("top_k", c_int32),
        ("ignore_eos", c_int32),
        ("num_candidates", c_int32),
        ("num_branches", c_int32),
        ("temperature", c_float),
        ("top_p", c_float),
        ("min_p", c_float),
        ("typical_p", c_float),
        ("repetition_penalty", c_float),
        ("frequency_penalty", c_float),
        ("presence_penalty", c_float),
    )
    slot: int | None
    position: int
    entropy: float
    status: int
    parity: int
    num_tokens: int
    num_given: int
    num_read: int
    num_found: int
    mark: int
    num_candidates: int


class SamplerStruct(Structure):
    """`Sampler` of sample.h."""

    _fields_ = (
        ("vocab_size", c_int32),
        ("num_blocks", c_int32),
        ("eos_id", c_int32),
        ("unused", c_int32),
        ("work", c_void_p),
        ("sums", c_void_p),
        ("seen", c_void_p),
        ("nearness", c_void_p),
        ("sorted", c_void_p),
        ("masses", c_void_p),
        ("weights", c_void_p),
    )


class WorkspaceStruct(Structure):
    """`Workspace` of step.c."""

    _fields_ = (
        ("network", POINTER(NetworkStruct)),
        ("threads", c_void_p),
        ("samplers", POINTER(SamplerStruct)),
        ("max_rows", c_int32),
        ("num_requested", c_int32),
        ("rows", c_void_p),
        ("sequences", c_void_p),
        ("logit_rows", c_void_p),
        ("requesters", c_void_p),
        ("indices", c_void_p),
        ("kept", c_void_p),
        ("logits", c_void_p),
        ("block_sums", c_void_p),
    )


STRUCTURES = (SequenceStruct, SamplerStruct, WorkspaceStruct, NetworkStruct, LayerStruct)
"""Those whose sizes `native_layout` returns."""
