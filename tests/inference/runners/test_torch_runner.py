"""Rectangles of tokens: always of the same shapes, blocks for who has much to read, and a turn for everybody."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request
from refrain.inference.runners.torch_runner import TorchRunner
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.predictor import TokenPredictor
from refrain.models.state import RecurrentState
from tests.support.engines import BOUNDARY, VOCABULARY, add, counted, recurrent, serve

TILE, WIDTH, MAX_BLOCKS = 4, 8, 3
CONFIG = EngineConfig(
    max_slots=12, row_tile=TILE, block_width=WIDTH, max_block_rows=MAX_BLOCKS, max_steps=1
)


class Recorder:
    """A model that notes the shapes of what it is asked."""

    def __init__(self, model: TokenPredictor) -> None:
        self._model = model
        self.vocab_size = model.vocab_size
        self.zero_state = model.zero_state
        self.read_shapes: list[tuple[int, ...]] = []
        self.num_rows_of_logits: list[int] = []

    def read(self, tokens_BT: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        self.read_shapes.append(tuple(tokens_BT.shape))
        return self._model.read(tokens_BT, state)

    def logits(self, features_NF: Tensor) -> Tensor:
        self.num_rows_of_logits.append(len(features_NF))
        return self._model.logits(features_NF)


def engine_of(model: TokenPredictor, config: EngineConfig = CONFIG) -> Engine:
    return Engine(TorchRunner(model, config, eos_id=BOUNDARY), config)


def prompt(length: int) -> list[int]:
    return [2 + n * n % (VOCABULARY - 2) for n in range(length)]


def test_every_product_has_the_rows_of_a_tile_whoever_shares_the_step() -> None:
    model = Recorder(recurrent())
    requests = [
        Request(purpose, prompt(length), sampling=SamplingParams(max_tokens=5))
        for purpose in (Purpose.GENERATE, Purpose.SCORE, Purpose.PREDICT)
        for length in (1, 7, 8, 30)
    ]
    serve(engine_of(model), requests)
    assert set(model.read_shapes) == {(TILE, 1), (TILE, WIDTH)}
    assert set(model.num_rows_of_logits) == {TILE}


@pytest.mark.parametrize(
    ("length", "num_blocks", "num_singles"), [(6, 0, 7), (7, 1, 0), (8, 1, 1), (100, 12, 5)]
)
def test_a_long_prompt_is_read_in_blocks_and_the_rest_token_by_token(
    length, num_blocks, num_singles
) -> None:
    model = Recorder(recurrent())
    serve(engine_of(model), [Request(Purpose.PREDICT, prompt(length))])
    assert model.read_shapes == [(TILE, WIDTH)] * num_blocks + [(TILE, 1)] * num_singles


def test_only_who_needs_a_prediction_has_logits_computed() -> None:
    model = Recorder(recurrent())
    serve(engine_of(model), [Request.read(prompt(20))])
    assert model.num_rows_of_logits == []
    serve(engine_of(model), [Request(Purpose.PREDICT, prompt(20))])
    assert model.num_rows_of_logits == [TILE]
    serve(engine_of(model), [Request(Purpose.SCORE, prompt(20))])
    assert model.num_rows_of_logits == [TILE] * 21


def test_the_last_target_of_a_score_is_not_read() -> None:
    engine = engine_of(recurrent())
    for length in (7, 8, 9, 15, 20):
        request = Request(Purpose.SCORE, prompt(length), want=Want(state=True))
        scored = engine.answer(request)[1]
        assert scored.state.position == length
        assert scored.state.unread == (prompt(length)[-1],)


@pytest.mark.parametrize("length", [5, 7, 8, 9, 15, 16, 20])
def test_a_text_that_is_read_in_blocks_stops_before_its_last_token(length) -> None:
    engine = engine_of(recurrent())
    request = Request(Purpose.PREDICT, prompt(length), want=Want(state=True))
    state = engine.answer(request)[1].state
    assert (state.position, state.unread) == (length, (prompt(length)[-1],))


def test_readers_take_turns_and_a_step_has_one_wide_and_one_narrow_rectangle() -> None:
    model = Recorder(recurrent())
    engine = engine_of(model)
    sampling = SamplingParams(max_tokens=100, ignore_eos=True)
    (writer,) = add(engine, [Request(Purpose.GENERATE, [3], sampling=sampling)])
    engine.admit()
    engine.step()
    engine.step()
    readers = add(engine, [Request(Purpose.PREDICT, prompt(200)) for _ in range(7)])
    engine.admit()
    model.read_shapes.clear()
    for num_steps in range(1, 15):
        engine.step()
        assert model.read_shapes == [(TILE, WIDTH), (TILE, 1)] * num_steps
        assert writer.native.struct.num_read == 2 + num_steps
        read = [reader.native.struct.num_read for reader in readers]
        assert sum(read) == num_steps * MAX_BLOCKS * WIDTH
        assert max(read) - min(read) <= WIDTH, "nobody is read a second block before the others"


def test_more_rows_than_a_tile_are_cut_to_tiles() -> None:
    model = Recorder(recurrent())
    serve(engine_of(model), [Request(Purpose.PREDICT, [])] * 9)
    assert model.read_shapes == [(TILE, 1)] * 3


@pytest.mark.parametrize("make_model", [recurrent, lambda: recurrent("jordan"), counted])
def test_blocks_change_no_prediction(make_model) -> None:
    model = make_model()
    request = Request(Purpose.SCORE, prompt(60))
    found = []
    for width in (1, 8, 32):
        engine = engine_of(model, replace(CONFIG, block_width=width))
        found.append(torch.tensor(engine.answer(request)[1].logprobs))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize("make_model", [recurrent, lambda: recurrent("gru"), counted])
def test_its_shape_is_the_model_s_and_no_hidden_states_are_reported(make_model) -> None:
    model = make_model()
    shape = TorchRunner(model, CONFIG, eos_id=BOUNDARY).shape
    assert (shape.vocab_size, shape.eos_id) == (VOCABULARY, BOUNDARY)
    assert shape.state_bytes == len(model.zero_state(1).to_bytes())
    assert shape.hidden_size == 0
