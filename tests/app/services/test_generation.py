"""Texts as they are written, and what is left of those whose reader went away."""

import asyncio
from contextlib import aclosing
from itertools import count

import pytest

from app.engine.config import EngineConfig
from app.services.generation import GenerationOptions, GenerationService
from app.services.registry import Registry, load
from app.services.state_token import StateTokens
from app.settings import Settings
from models.checkpoint import load_checkpoint
from models.native.sequence import SamplingParams


def options(**values) -> GenerationOptions:
    sampling = SamplingParams(max_tokens=3_000, ignore_eos=True)
    return GenerationOptions(["The cat"], sampling, n=3, is_streamed=True, **values)


@pytest.mark.parametrize("num_read", [0, 1, 10])
def test_a_reader_who_leaves_a_stream_leaves_no_task_behind(checkpoints, num_read) -> None:
    async def main() -> None:
        registry = Registry([load(load_checkpoint(checkpoints / "english"), EngineConfig())], [])
        registry.start()
        settings = Settings()
        service = GenerationService(StateTokens(registry, b"secret"), settings)
        generation = await service.submit(options())

        async def read() -> None:
            places = count()
            async with aclosing(generation.pieces()) as pieces:
                async for _ in pieces:
                    if next(places) == num_read:
                        await asyncio.sleep(60)

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        reader.cancel()
        await asyncio.wait([reader])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await registry.stop()

    asyncio.run(main())
