"""Tables of an n-gram model on their way through a file."""

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from refrain.models.config import NGramConfig
from refrain.models.errors import CheckpointError
from refrain.models.ngram.kneser_ney import KneserNeyModel

CONFIG = NGramConfig(vocab_size=9, order=3)
DOCUMENTS = [[2, 3, 4, 2, 3], [2, 3, 5], [], [6, 6, 6, 7]]
TOKENS = np.array([1, 2, 3, 4, 8, 0, 1, 6, 6, 1, 1])


def tables():
    model = KneserNeyModel.estimate(DOCUMENTS, CONFIG)
    return {name: tensor.clone() for name, tensor in model.tensors().items()}


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_model_read_from_its_file_gives_the_same_bits(order):
    config = NGramConfig(vocab_size=9, order=order)
    model = KneserNeyModel.estimate(DOCUMENTS, config)
    again = KneserNeyModel.from_tensors(config, load(save(model.tensors())))
    np.testing.assert_array_equal(again.target_log_probs(TOKENS), model.target_log_probs(TOKENS))
    assert again.num_ngrams == model.num_ngrams


def test_an_empty_length_goes_through_a_file():
    config = NGramConfig(vocab_size=9, order=5)
    model = KneserNeyModel.estimate([[2]], config)
    assert model.num_ngrams == (2, 2, 1, 0, 0)
    again = KneserNeyModel.from_tensors(config, load(save(model.tensors())))
    np.testing.assert_array_equal(again.target_log_probs(TOKENS), model.target_log_probs(TOKENS))


@pytest.mark.parametrize(
    ("name", "table", "fault"),
    [
        ("keys_2", None, "keys_2 is missing"),
        ("counts_1", None, "counts_1 is missing"),
        ("discounts", None, "discounts must be float64"),
        ("keys_4", torch.zeros(2, dtype=torch.int64), "keys_4 is not one of a 3-gram model"),
        ("counts_1", torch.ones(8, dtype=torch.int32), "counts_1 must have 9 elements"),
        ("counts_1", torch.full((9,), -1, dtype=torch.int32), "counts_1 has a count below 0"),
        ("counts_2", torch.ones(3, dtype=torch.int32), "for 3 counts"),
        ("counts_2", torch.ones(3), "counts_2 must be torch.int32, not torch.float32"),
        ("keys_3", torch.zeros((2, 2), dtype=torch.int64), "keys_3 must have one dimension"),
        (
            "discounts",
            torch.ones((2, 3), dtype=torch.float64),
            r"discounts must be float64 \[3, 3\]",
        ),
        ("discounts", torch.zeros((3, 3), dtype=torch.float64), "above 0"),
        ("discounts", torch.full((3, 3), torch.nan, dtype=torch.float64), "above 0"),
    ],
)
def test_a_wrong_table_is_refused_by_its_name(name, table, fault):
    tensors = tables()
    tensors.pop(name, None)
    if table is not None:
        tensors[name] = table
    with pytest.raises(CheckpointError, match=fault):
        KneserNeyModel.from_tensors(CONFIG, tensors)


@pytest.mark.parametrize(
    ("name", "index", "value", "fault"),
    [
        ("keys_2", 0, 1_000, "keys_2 is not sorted"),
        ("keys_2", 0, -1, "keys_2 has a key of a context or a token that does not exist"),
        ("keys_3", -1, 10_000, "keys_3 has a key of a context or a token that does not exist"),
        ("counts_3", 0, 0, "counts_3 has a count below 1"),
    ],
)
def test_an_impossible_value_is_refused_by_the_name_of_its_table(name, index, value, fault):
    tensors = tables()
    tensors[name][index] = value
    with pytest.raises(CheckpointError, match=fault):
        KneserNeyModel.from_tensors(CONFIG, tensors)
