"""On a CUDA device: captured graphs give what the plain operations give, and the engine's invariants hold."""

import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request, Result
from refrain.inference.runners.precision import make_runner
from refrain.inference.runners.state_pool import StatePool
from refrain.inference.runners.torch_step import CapturedStep, make_step
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.engines import VOCABULARY, add, finish, recurrent

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@needs_cuda
@pytest.mark.parametrize("width", [1, 8])
def test_a_captured_step_is_the_plain_step(width) -> None:
    model = recurrent().to("cuda")
    pools = [StatePool(model, 4), StatePool(model, 4)]
    captured = make_step(pools[1], 3, width)
    assert isinstance(captured, CapturedStep)
    slots_R = torch.tensor([2, 0, 4])
    for pool in pools:
        pool.clear([0, 1, 2, 3, 4])
    with torch.inference_mode():
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            tokens_RT = torch.randint(0, VOCABULARY, (3, width), generator=generator)
            expected = pools[0].step(tokens_RT, slots_R)
            assert torch.equal(captured(tokens_RT, slots_R), expected)


@needs_cuda
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_not_a_byte_depends_on_who_shares_the_batch_on_cuda(precision) -> None:
    def written(seeds: list[int]) -> list[list[Result]]:
        config = EngineConfig(max_slots=6, row_tile=4)
        runner = make_runner(recurrent().to("cuda"), precision, config, eos_id=1)[1]
        engine = Engine(runner, config)
        requests = [
            Request(
                Purpose.GENERATE,
                [2 + seed % 7] * (seed % 40),
                sampling=SamplingParams(seed=seed, max_tokens=20),
            )
            for seed in seeds
        ]
        return finish(engine, add(engine, requests))

    for seed, results in enumerate(written(list(range(20)))):
        assert written([seed]) == [results]
