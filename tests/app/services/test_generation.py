"""Texts as they are written, and what is left of those whose reader went away."""

import asyncio
from contextlib import aclosing
from itertools import count

import pytest

from refrain.app.services.generation import GenerationRequest, start_generation
from refrain.app.services.scoring import score
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import SamplingParams
from tests.support.serving import asked, serve

ENDLESS = SamplingParams(max_tokens=3_000, ignore_eos=True)


def wanted(prompts=("The cat",), sampling=ENDLESS, **params) -> GenerationRequest:
    return GenerationRequest(prompts, GenerationParams(sampling, **params))


@pytest.mark.parametrize("num_read", [0, 1, 10])
def test_a_reader_who_leaves_a_stream_leaves_no_task_behind(checkpoints, num_read) -> None:
    async def body(serving) -> None:
        before = asyncio.all_tasks()
        started = await start_generation(serving, asked("english"), wanted(n=3, stream=True))
        has_read = asyncio.Event()

        async def read() -> None:
            places = count()
            if not num_read:
                has_read.set()
            async with aclosing(started.deltas()) as deltas:
                async for _ in deltas:
                    if next(places) == num_read:
                        has_read.set()
                        await asyncio.Event().wait()

        reader = asyncio.create_task(read())
        await has_read.wait()
        reader.cancel()
        await asyncio.wait([reader])
        assert asyncio.all_tasks() == before

    serve(checkpoints, body)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (wanted(["The"] * 3, n=2), "3 prompts x n 2 are more than 5 texts"),
        (wanted(["The"] * 2, best_of=3), "2 prompts x best_of 3 are more than 5"),
        (wanted(sampling=SamplingParams(max_tokens=5_000)), "max_tokens may be at most 4,000"),
    ],
)
def test_what_is_over_the_limits_of_a_request_is_refused(checkpoints, request_, message) -> None:
    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match=message):
            await start_generation(serving, asked("english"), request_)

    serve(checkpoints, body, max_texts=5, max_tokens=4_000)


def test_the_reasons_of_texts_that_ended_are_noted_with_whom_they_are_for(checkpoints) -> None:
    async def body(serving) -> None:
        whole, streamed = asked("english"), asked("english")
        sampling = SamplingParams(max_tokens=3, ignore_eos=True)
        started = await start_generation(serving, whole, wanted(sampling=sampling))
        answer = await started.answer()
        request = wanted(sampling=sampling, stream=True)
        started = await start_generation(serving, streamed, request)
        text = "".join([delta.text async for delta in started.deltas()])
        assert len(text) > 0
        for caller in (whole.caller, streamed.caller):
            assert caller.stats.finish_reasons == {"length"}
            assert caller.stats.models == ["english"]
            assert caller.stats.num_written == 3
        assert answer.usage.completion_tokens == 3

    serve(checkpoints, body)


def test_who_names_no_seed_gets_the_one_that_gives_the_text_again(checkpoints) -> None:
    sampling = SamplingParams(max_tokens=12, ignore_eos=True)

    async def body(serving) -> None:
        async def text(**given) -> tuple[str, int]:
            params = GenerationParams(sampling, **given.pop("params", {}))
            request = GenerationRequest(["The"], params, **given)
            answer = await (await start_generation(serving, asked("english"), request)).answer()
            return answer.choices[0].text, answer.seed

        drawn, seed = await text()
        assert seed
        assert await text(seed=seed) == (drawn, seed)
        assert (await text())[1] != seed
        assert (await text(params={"num_beams": 2}))[1] == 0  # a search draws nothing

    serve(checkpoints, body, ("english",))


@pytest.mark.parametrize("logprobs", [None, 2])
def test_an_echoed_prompt_is_scored_if_that_is_wanted_and_the_text_goes_on_as_ever(
    checkpoints, logprobs
) -> None:
    prompt = "The old cat sat"
    params = GenerationParams(SamplingParams(max_tokens=6, ignore_eos=True), logprobs=logprobs)

    async def body(serving) -> None:
        plain = GenerationRequest([prompt], params, seed=4)
        expected = await (await start_generation(serving, asked("english"), plain)).answer()
        who = asked("english")
        request = GenerationRequest([prompt], params, seed=4, is_echoed=True)
        started = await start_generation(serving, who, request)
        assert await started.answer() == expected
        # Nothing is read twice: the boundary, and four words.
        assert who.caller.stats.num_prompt == 5
        assert started.prompts[0].text == prompt
        if logprobs is None:
            assert started.echoes == []
            return
        (echo,) = started.echoes
        _, (whole,) = await score(serving, asked("english"), [prompt], ScoreParams(per_token=True))
        assert "".join(each.token for each in echo) == prompt
        assert echo[0].logprob is None  # nothing stands before it
        assert [each.logprob for each in echo[1:]] == [each.logprob for each in whole.tokens[1:]]
        assert all(len(each.top) == logprobs for each in echo[1:])

    serve(checkpoints, body, ("english",))
