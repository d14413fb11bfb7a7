"""The first layer's table: the bytes of a fixed order of sums, on every processor and any number of threads."""

import ctypes

import numpy as np
import pytest
import torch

from refrain.models.config import LanguageModelConfig
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.library import best_variant, built_variants
from refrain.models.native.step.table import compute_table
from refrain.models.networks.language_model import LanguageModel

VARIANTS = ("portable", "avx2", "avx512vnni")


@pytest.fixture(params=VARIANTS)
def variant(request) -> str:
    if request.param not in built_variants():
        pytest.skip(f"the variant {request.param} was not built on this machine")
    if VARIANTS.index(request.param) > VARIANTS.index(best_variant()):
        pytest.skip(f"this processor runs no more than {best_variant()}, not {request.param}")
    return request.param


def expected_table(embedding_VE, weight_NE, bias_N) -> np.ndarray:
    """From the bias on, element by element, with rounded products and rounded sums in float32."""
    sums_VN = np.tile(bias_N, (len(embedding_VE), 1))
    for element in range(embedding_VE.shape[1]):
        sums_VN = sums_VN + embedding_VE[:, element, None] * weight_NE[:, element]
    assert sums_VN.dtype == np.float32
    with np.errstate(over="ignore"):
        return sums_VN.astype(np.float16)


def operands(num_tokens: int, size: int, num_columns: int, scale: float = 1.0) -> list[np.ndarray]:
    draw = np.random.default_rng(num_tokens + size)
    shapes = ((num_tokens, size), (num_columns, size), (num_columns,))
    return [(draw.normal(0, 1, shape) * scale).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("num_columns", [64, 192])
@pytest.mark.parametrize(
    ("num_tokens", "size"), [(1, 1), (5, 7), (6, 16), (13, 3), (100, 33), (259, 64)]
)
def test_a_table_is_the_sum_in_order_to_the_byte(variant, num_tokens, size, num_columns) -> None:
    arrays = operands(num_tokens, size, num_columns)
    table = compute_table(*arrays, variant=variant)
    assert table.tobytes() == expected_table(*arrays).tobytes()


@pytest.mark.parametrize("scale", [1e-4, 300])
def test_halves_that_are_tiny_or_too_large_are_rounded_as_others(variant, scale) -> None:
    arrays = operands(50, 9, 64, scale)
    table = compute_table(*arrays, variant=variant)
    assert table.tobytes() == expected_table(*arrays).tobytes()


def test_a_sum_between_two_halves_goes_to_the_even_one(variant) -> None:
    bias = np.arange(2048, 2048 + 64, dtype=np.float32)
    table = compute_table(
        np.zeros((2, 4), np.float32), np.zeros((64, 4), np.float32), bias, variant=variant
    )
    assert table[1, :8].tolist() == [2048, 2048, 2050, 2052, 2052, 2052, 2054, 2056]


@pytest.mark.parametrize("num_threads", [2, 3, 8])
@pytest.mark.parametrize("num_tokens", [3, 100])
def test_the_number_of_threads_does_not_matter(num_threads, num_tokens) -> None:
    arrays = operands(num_tokens, 20, 128)
    one = compute_table(*arrays)
    assert compute_table(*arrays, num_threads=num_threads).tobytes() == one.tobytes()


def test_matrices_need_not_lie_in_order() -> None:
    embedding, weight, bias = operands(30, 20, 64)
    views = (np.asfortranarray(embedding), np.asfortranarray(weight), np.repeat(bias, 2)[::2])
    expected = compute_table(embedding, weight, bias)
    assert compute_table(*views).tobytes() == expected.tobytes()


def test_the_first_layer_of_a_model_has_the_table_of_its_weights() -> None:
    torch.manual_seed(3)
    sizes = {"embedding_size": 21, "hidden_size": 64, "num_layers": 2}
    model = LanguageModel(LanguageModelConfig(vocab_size=75, cell="elman", **sizes))
    cell = model.stack.layers[0]
    expected = expected_table(
        model.embedding.weight.detach().numpy(),
        cell.weight_ih.detach().numpy(),
        (cell.bias_ih + cell.bias_hh).detach().numpy(),
    )
    form = Int8LanguageModel(model)
    table = ctypes.string_at(form.struct.layers[0].table, expected.nbytes)
    assert table == expected.tobytes()
