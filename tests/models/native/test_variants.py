"""Every built variant of the native step gives the same bytes for whole texts, whatever is asked of them."""

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch

from refrain.models.config import LanguageModelConfig
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.library import best_variant, built_variants
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.sequence import NativeSequence
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose, Status
from refrain.models.native.step.want import Want
from refrain.models.native.step.workspace import SequenceList, Workspace
from refrain.models.networks.language_model import LanguageModel

V, BOUNDARY = 150, 1
CELLS = ("lstm", "gru", "elman")
VARIANTS = ("portable", "avx2", "avx512vnni")
TEXT = [BOUNDARY, 5, 9, 33, 5, 140, 2, 5, 9, 149, 33, 5]
ALLOWED = np.array([0xFFFF0FFFFFF0FFF3, 0x0F0F0F0F0F0F0F0F, 0x3F0F0F], np.uint64)
MANY_BIASES = tuple((token, 0.3 * (token % 4) - 0.4) for token in range(3, 40))
SAMPLING = {
    "greedy": {"temperature": 0.0},
    "plain": {},
    "warm": {"temperature": 1.7},
    "cool": {"temperature": 0.4},
    "top_k": {"top_k": 9},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.1},
    "typical_p": {"typical_p": 0.6},
    "all_kept_shares": {"top_k": 60, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.8},
    "repetition_penalty": {"repetition_penalty": 1.4},
    "frequency_penalty": {"frequency_penalty": 0.7},
    "presence_penalty": {"presence_penalty": 0.9},
    "few_biases": {"logit_bias": ((0, -math.inf), (7, 1.5)), "ignore_eos": True},
    "many_biases": {"logit_bias": MANY_BIASES, "temperature": 1.2},
    "allowed": {"allowed": ALLOWED},
    "all_at_once": {
        "temperature": 1.3,
        "top_k": 50,
        "top_p": 0.95,
        "min_p": 0.005,
        "typical_p": 0.9,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.3,
        "ignore_eos": True,
        "logit_bias": MANY_BIASES,
        "allowed": ALLOWED,
    },
    "greedy_and_penalised": {"temperature": 0.0, "repetition_penalty": 1.3, "presence_penalty": 1},
}


@cache
def form(cell: str) -> Int8LanguageModel:
    torch.manual_seed(3)
    config = LanguageModelConfig(
        vocab_size=V, cell=cell, embedding_size=24, hidden_size=40, num_layers=2
    )
    model = LanguageModel(config)
    for parameter in model.parameters():
        parameter.data *= 4  # so that some tokens are much likelier than others
    return Int8LanguageModel(model)


def shape_of(model: Int8LanguageModel) -> ModelShape:
    return ModelShape(V, BOUNDARY, hidden_size=model.layout.sizes[-1])


def cache_of(model: Int8LanguageModel) -> CacheView:
    """A cache whose oldest entry stands somewhere in the ring."""
    draw = np.random.default_rng(5)
    keys = draw.integers(1, 256, (60, model.layout.sizes[-1])).astype(np.uint8)
    return CacheView(keys, draw.integers(0, V // 3, 60).astype(np.int32), 41, 60, 0.7, 0.3)


def sequences_of(model: Int8LanguageModel) -> Iterator[tuple[str, NativeSequence]]:
    """A text of every kind, by name."""
    shape, view = shape_of(model), cache_of(model)

    def make(purpose: Purpose, tokens=TEXT, **options) -> NativeSequence:
        return NativeSequence(purpose, tokens, shape, **options)

    for seed, (name, params) in enumerate(SAMPLING.items()):
        sampling = SamplingParams(seed=seed, max_tokens=40, **params)
        yield (
            f"generate, {name}",
            make(Purpose.GENERATE, TEXT[: 1 + seed % 5], sampling=sampling, want=Want(top=3)),
        )
    sampling = SamplingParams(seed=2, max_tokens=40, typical_p=0.9, ignore_eos=True)
    yield "generate, cache", make(Purpose.GENERATE, sampling=sampling, cache=view)
    reading = SamplingParams(max_tokens=0)
    yield "read only", make(Purpose.GENERATE, sampling=reading, want=Want(hidden=True))
    yield "score", make(Purpose.SCORE, want=Want(top=4, ranks=True))
    yield "score, hidden", make(Purpose.SCORE, want=Want(hidden=True))
    yield "score, cache", make(Purpose.SCORE, want=Want(top=2, ranks=True), cache=view)
    yield "score, candidates", make(Purpose.SCORE, candidates=sorted({*TEXT}))
    yield "prediction", make(Purpose.PREDICT, want=Want(top=5))
    yield "prediction, top alone", make(Purpose.PREDICT, want=Want(top=5, distribution=False))
    yield "prediction, cache", make(Purpose.PREDICT, want=Want(top=5), cache=view)
    yield "prediction, candidates", make(Purpose.PREDICT, candidates=[4, 140, 77])
    changed = SamplingParams(max_tokens=6, repetition_penalty=1.2, logit_bias=MANY_BIASES)
    yield "branch", make(Purpose.BRANCH, sampling=changed, want=Want(top=2, branches=7))


def read_all(model: Int8LanguageModel, variant: str) -> dict[str, list[object]]:
    """Everything that one variant finds out, all texts side by side."""
    named = dict(sequences_of(model))
    workspace = Workspace(
        vocab_size=V,
        eos_id=BOUNDARY,
        max_rows=len(named),
        num_threads=2,
        network=model.struct,
        variant=variant,
    )
    slots = np.zeros((len(named), model.layout.num_bytes), np.uint8)
    for slot, sequence in zip(slots, named.values(), strict=True):
        model.layout.clear(slot)
        sequence.struct.slot = slot.ctypes.data
    everything = SequenceList(list(named.values()))
    branched = named["branch"]
    branches: list[bytes] = []
    while any(sequence.status is Status.RUNNING for sequence in named.values()):
        workspace.run(everything, 7)
        if branched.status is Status.ANSWERED and len(branches) < 6:
            branches.append(_bytes_of_branches(branched))
            branched.push(int(branched.branch_ids[len(branches) % 3]))
    found = {
        name: [*_found(sequence), slot.tobytes()]
        for slot, (name, sequence) in zip(slots, named.items(), strict=True)
    }
    found["branch"] += branches
    return found


def _bytes_of_branches(sequence: NativeSequence) -> bytes:
    arrays = (sequence.branch_ids, sequence.branch_scores, sequence.branch_logprobs)
    return b"".join(array.tobytes() for array in arrays)


def _found(sequence: NativeSequence) -> list[object]:
    """What was found out for one text: its tokens, the arrays that are filled, and its end."""
    struct = sequence.struct
    one_row = sequence.purpose in (Purpose.PREDICT, Purpose.BRANCH)
    arrays = [sequence.tokens[: struct.num_tokens], sequence.logprobs[: struct.num_found]]
    for top in (sequence.top_ids, sequence.top_logprobs):
        arrays += [] if top is None else [top[: 1 if one_row else struct.num_found]]
    others = (sequence.ranks, sequence.log_probs, sequence.hidden, sequence.cache_probs)
    if sequence.purpose is Purpose.SCORE and struct.num_candidates:
        others = ()  # what was written there was a scratch pad
    arrays += [array for array in others if array is not None]
    return [*(array.tobytes() for array in arrays), sequence.status, float(struct.entropy).hex()]


@cache
def portable(cell: str) -> dict[str, list[object]]:
    return read_all(form(cell), "portable")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_every_variant_gives_the_bytes_of_the_portable_one(variant, cell) -> None:
    for needed in ("portable", variant):
        if needed not in built_variants():
            pytest.skip(f"the variant {needed} was not built on this machine")
    if VARIANTS.index(variant) > VARIANTS.index(best_variant()):
        pytest.skip(f"this processor runs no more than {best_variant()}, not {variant}")
    expected = portable(cell)
    found = read_all(form(cell), variant)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.parametrize("cell", CELLS)
def test_the_texts_that_are_compared_say_something(cell) -> None:
    """Texts of different parameters differ, so that a parameter that a variant left out would be seen."""
    found = portable(cell)
    texts = [found[f"generate, {name}"][0] for name in SAMPLING]
    assert len(set(texts)) == len(texts)
    assert sum(len(text) for text in texts) > 4 * 20 * len(texts)
    assert len(found["branch"]) > 6
