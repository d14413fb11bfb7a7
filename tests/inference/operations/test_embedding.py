"""Texts to vectors: the mean or the last of the hidden states, against numpy and against torch."""

import numpy as np
import pytest

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request, Written
from refrain.inference.errors import WrongTaskError
from refrain.inference.loading import load_engine
from refrain.inference.operations import embedding
from refrain.inference.operations.embedding import embed, require_embeddings
from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import InvalidParameterError
from tests.support.by_hand import run_by_hand, state, text_model
from tests.support.reference import hidden_and_log_probs

HIDDEN, UNITS = 16, 5
MODEL = text_model(hidden_size=HIDDEN, num_units=UNITS)


def hidden_of(token_ids) -> np.ndarray:
    """A state for each token, whose padding would be seen if it counted."""
    rows = [np.random.default_rng(token_id).integers(1, 256, HIDDEN) for token_id in token_ids]
    return np.array(rows, np.uint8).reshape(-1, HIDDEN)


def by_token(request: Request) -> Written:
    """Read tokens: the state of what stands before them comes first, and is nobody's."""
    before = np.full((1, HIDDEN), 255, np.uint8)
    hidden = np.concatenate([before, hidden_of(request.token_ids)])
    start = request.start.position if request.start else 0
    return Written([], [], [], "length", state(start + len(request.token_ids)), hidden)


def expected(rows: np.ndarray) -> np.ndarray:
    vector = (rows[:, :UNITS].astype(float) - 128).mean(axis=0)
    return vector / np.sqrt((vector**2).sum())


def test_a_text_is_read_for_its_hidden_states_and_nothing_is_predicted() -> None:
    heard = run_by_hand(embed(MODEL, [3, 4, 5]), by_token)
    assert heard.requests == [Request.read([3, 4, 5], hidden=True)]


def test_the_mean_is_that_of_the_states_after_each_token_without_their_padding() -> None:
    found = run_by_hand(embed(MODEL, [3, 4, 5]), by_token).answer
    assert (found.dtype, found.shape) == (np.float32, (UNITS,))
    assert found == pytest.approx(expected(hidden_of([3, 4, 5])), abs=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_the_last_is_the_state_after_the_last_token() -> None:
    found = run_by_hand(embed(MODEL, [3, 4, 5], "last"), by_token).answer
    assert found == pytest.approx(expected(hidden_of([5])), abs=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("num_tokens", [6, 7, 8, 14, 20])
def test_a_long_text_goes_on_from_its_state_to_the_same_vector(
    monkeypatch, pooling, num_tokens
) -> None:
    ids = [n % 11 for n in range(num_tokens)]
    whole = run_by_hand(embed(MODEL, ids, pooling), by_token)
    monkeypatch.setattr(embedding, "STRIDE", 7)
    heard = run_by_hand(embed(MODEL, ids, pooling), by_token)
    assert len(whole.requests) == 1
    assert [each.start and each.start.position for each in heard.requests] == [
        first or None for first in range(0, num_tokens, 7)
    ]
    assert heard.answer.tobytes() == whole.answer.tobytes()


def test_states_that_cancel_out_are_a_vector_of_zeros_and_not_of_no_numbers() -> None:
    def reply(request: Request) -> Written:
        hidden = np.full((len(request.token_ids) + 1, HIDDEN), 128, np.uint8)
        return Written([], [], [], "length", state(), hidden)

    assert run_by_hand(embed(MODEL, [3, 4]), reply).answer.tolist() == [0.0] * UNITS


def test_no_tokens_are_refused_by_the_name_of_their_field() -> None:
    with pytest.raises(InvalidParameterError, match="empty text") as refused:
        next(embed(MODEL, [], param="input"))
    assert refused.value.param == "input"


def test_a_model_without_hidden_states_is_refused_before_it_is_asked() -> None:
    model = text_model(hidden_size=0)
    require_embeddings(MODEL)
    with pytest.raises(WrongTaskError, match="served in fp32; only recurrent models in int8"):
        require_embeddings(model)
    with pytest.raises(WrongTaskError):
        next(embed(model, [3]))


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_vector_is_that_of_the_network_itself_within_its_eight_bits(checkpoints, pooling) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    model, engine = load_engine(checkpoint, EngineConfig(max_slots=2), "int8")
    ids = checkpoint.tokenizer.encode("The old cat sat on the mat.").ids
    found = BlockingDriver(engine).run(embed(model, ids, pooling))
    # `english` is tied, so that its units are those of the last layer as the output sees them.
    features = hidden_and_log_probs(checkpoint, ids)[0][1:].double().numpy()
    vector = features.mean(axis=0) if pooling == "mean" else features[-1]
    assert len(found) == model.num_units == len(vector)
    assert found @ (vector / np.linalg.norm(vector)) > 0.995


def test_a_pooling_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="not 'lats'") as refused:
        run_by_hand(embed(MODEL, [3], "lats"), by_token)
    assert refused.value.param == "pooling"
