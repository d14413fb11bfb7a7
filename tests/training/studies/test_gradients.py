"""Gradient norms against distance equal a Jacobian taken by another way."""

import pytest
import torch

from refrain.models.networks.recurrent import step_layer
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.errors import EmptyCorpusError
from refrain.training.studies.crops import crops, stream
from refrain.training.studies.gradients import gradient_norms, relative
from refrain.training.studies.networks import CELLS, make_network


@pytest.mark.parametrize("cell", CELLS)
def test_norms_equal_the_jacobian_of_the_cell_stepped_by_its_equation(cell) -> None:
    sizes = {"vocab_size": 7, "embedding_size": 3, "budget": 400}
    model = make_network(cell, **sizes, seed=1)
    texts = torch.randint(7, (4, 6), generator=torch.Generator().manual_seed(0))
    norms = gradient_norms(model, texts)
    assert next(model.parameters()).dtype == torch.float32

    model.double()
    (layer,) = model.stack.layers
    zeros = torch.zeros(layer.num_components, 1, layer.hidden_size, dtype=torch.float64)
    expected = torch.zeros(5, dtype=torch.float64)
    for text in texts:

        def loss(inputs_TE, target=text[-1]):
            outputs, _ = step_layer(layer, inputs_TE[None], zeros)
            return -model.logits(outputs[:, -1]).log_softmax(1)[0, target]

        inputs_TE = model.embedding.weight.detach()[text[:-1]]
        jacobian_TE = torch.autograd.functional.jacobian(loss, inputs_TE)
        expected += jacobian_TE.norm(dim=1).flip(0) / len(texts)
    torch.testing.assert_close(norms, expected, rtol=1e-9, atol=1e-14)


def test_crops_are_pieces_of_the_stream() -> None:
    pieces = crops(torch.arange(50), torch.Generator().manual_seed(0), num_rows=20, length=8)
    assert pieces.shape == (20, 8)
    assert (pieces.diff(dim=1) == 1).all()


def test_a_text_shorter_than_the_distance_is_refused() -> None:
    tokenizer = Tokenizer.train("characters", ["abc"])
    with pytest.raises(EmptyCorpusError, match="lower --distance"):
        stream(tokenizer, ["abc"], distance=10)


def test_what_is_left_is_measured_against_distance_zero() -> None:
    assert relative([4.0, 2.0, 1.0]) == [1.0, 0.5, 0.25]
