"""A language model against an independent computation with `torch.nn`."""

import pytest
import torch
from torch import nn

from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel


def make(cell: str = "lstm", *, tied: bool = True) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=11, cell=cell, embedding_size=6, hidden_size=8, num_layers=2, tied=tied
    )
    return LanguageModel(config).eval()


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_an_independent_network_of_torch_modules(tied) -> None:
    model = make(tied=tied)
    widths = model.config.layer_sizes
    first = nn.LSTM(6, widths[0], batch_first=True)
    second = nn.LSTM(widths[0], widths[1], batch_first=True)
    for twin, cell in zip((first, second), model.stack.layers, strict=True):
        twin.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
    tokens = torch.randint(11, (3, 5))
    hidden = second(first(model.embedding.weight[tokens])[0])[0]
    weight = model.embedding.weight if tied else model.output_weight
    expected = hidden @ weight.T + model.output_bias
    logits, _ = model(tokens, model.zero_state(3))
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("cell", ["feedforward", "elman", "jordan", "gru", "lstm", "mogrifier"])
def test_tokens_one_by_one_equal_tokens_at_once(cell) -> None:
    model = make(cell)
    tokens = torch.randint(11, (2, 6))
    whole, end = model(tokens, model.zero_state(2))
    state, pieces = model.zero_state(2), []
    for time in range(6):
        logits, state = model(tokens[:, time : time + 1], state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    torch.testing.assert_close(state.layers, end.layers)


def test_embedding_dropout_drops_whole_words_only_while_training() -> None:
    config = LanguageModelConfig(vocab_size=200, embedding_size=4, embedding_dropout=0.5)
    embedding = LanguageModel(config).embedding
    tokens = torch.arange(200).repeat(2, 1)
    vectors = embedding(tokens)
    is_dropped = (vectors == 0).all(dim=2)
    assert torch.equal(is_dropped[0], is_dropped[1])
    assert 60 < is_dropped[0].sum() < 140
    assert torch.equal(embedding.eval()(tokens)[0], embedding.weight)
