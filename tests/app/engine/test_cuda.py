"""On a CUDA device: captured graphs give what the plain operations give, and the engine's invariants hold."""

import pytest
import torch

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.precision import make_runner
from app.engine.sequence import Sequence
from app.engine.state_pool import StatePool
from app.engine.torch_step import CapturedStep, PlainStep, make_step
from models.config import LanguageModelConfig
from models.language_model import LanguageModel
from models.native.sequence import SamplingParams
from models.native.structures import Purpose

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
VOCABULARY = 50


def model_on(device: str) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=VOCABULARY, embedding_size=24, hidden_size=40, num_layers=2
    )
    return LanguageModel(config).eval().to(device)


def test_on_a_processor_steps_are_not_captured() -> None:
    model = model_on("cpu")
    assert isinstance(make_step(model, StatePool(model, 4), 2, 1), PlainStep)


@needs_cuda
@pytest.mark.parametrize("width", [1, 8])
def test_a_captured_step_is_the_plain_step(width) -> None:
    model = model_on("cuda")
    pools = [StatePool(model, 4), StatePool(model, 4)]
    plain = PlainStep(model, pools[0])
    captured = make_step(model, pools[1], 3, width)
    assert isinstance(captured, CapturedStep)
    slots_R = torch.tensor([2, 0, 4])
    for pool in pools:
        pool.clear([0, 1, 2, 3, 4])
    with torch.inference_mode():
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            tokens_RT = torch.randint(0, VOCABULARY, (3, width), generator=generator)
            expected = plain(tokens_RT, slots_R)
            assert torch.equal(captured(tokens_RT, slots_R), expected)


@needs_cuda
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_not_a_byte_depends_on_who_shares_the_batch_on_cuda(precision) -> None:
    def written(seeds: list[int]) -> dict[int, object]:
        config = EngineConfig(max_slots=6, row_tile=4)
        runner = make_runner(model_on("cuda"), precision, config, boundary_id=1)[1]
        engine = Engine(runner, config)
        sequences = {
            Sequence.make(
                Purpose.GENERATE,
                1,
                [2 + seed % 7] * (seed % 40),
                vocab_size=VOCABULARY,
                params=SamplingParams(seed=seed, max_tokens=20),
            ): seed
            for seed in seeds
        }
        engine.add(sequences)
        found = {}
        while engine.scheduler.is_busy:
            engine.admit()
            for sequence, outcome in engine.step():
                found[sequences[sequence]] = outcome
        return found

    together = written(list(range(20)))
    for seed, outcome in together.items():
        assert written([seed])[seed] == outcome
