"""A model without room refuses before a word is tokenized, whatever is asked of it."""

import asyncio

import pytest

from refrain.app.services.embedding import embed_all
from refrain.app.services.generation import GenerationRequest, start_generation
from refrain.app.services.next_token import predict
from refrain.app.services.rescoring import order
from refrain.app.services.score_stream import ScoreStreamParams, open_stream
from refrain.app.services.scoring import score
from refrain.app.services.sentiment import classify
from refrain.inference.errors import QueueFullError, TextTooLongError
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.models.native.step.sampling import SamplingParams
from tests.support.serving import asked, serve

LIMITS = {"max_slots": 1, "max_queue": 2, "max_prompt_tokens": 5, "max_score_tokens": 5}
TOO_LONG = "cat " * 6
"""Who has tokenized it refuses it."""


def write(serving, text: str, num_texts: int = 1):
    params = GenerationParams(SamplingParams(max_tokens=9, ignore_eos=True), n=num_texts)
    return start_generation(serving, asked("english"), GenerationRequest([text], params))


SERVICES = {
    "embedding": lambda serving: embed_all(serving, asked("english"), [TOO_LONG]),
    "generation": lambda serving: write(serving, TOO_LONG),
    "next_token": lambda serving: predict(serving, asked("english"), [TOO_LONG], NextQuery()),
    "rescoring": lambda serving: order(
        serving, asked("english"), "", [Hypothesis(TOO_LONG)], RescoringParams()
    ),
    "scoring": lambda serving: score(serving, asked("english"), [TOO_LONG]),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_full_queue_refuses_before_anything_is_tokenized(checkpoints, service) -> None:
    async def body(serving) -> None:
        with pytest.raises(TextTooLongError):
            await SERVICES[service](serving)
        others = await write(serving, "The", num_texts=3)
        with pytest.raises(QueueFullError, match="come back later"):
            await SERVICES[service](serving)
        others.running.abort()

    serve(checkpoints, body, ("english",), is_started=False, **LIMITS)


def test_a_classifier_with_a_full_queue_refuses_before_anything_is_tokenized(checkpoints) -> None:
    async def body(serving) -> None:
        with pytest.raises(TextTooLongError):
            await classify(serving, asked(), [TOO_LONG], None)
        others = asyncio.create_task(classify(serving, asked(), ["A day"] * 2, None))
        await asyncio.sleep(0)
        assert serving.registry.models["sentiment-en"].driver.load.num_waiting == 2
        with pytest.raises(QueueFullError, match="come back later"):
            await classify(serving, asked(), [TOO_LONG], None)
        others.cancel()
        with pytest.raises(asyncio.CancelledError):
            await others

    serve(
        checkpoints,
        body,
        ("sentiment-en",),
        is_started=False,
        max_queue=2,
        max_classify_tokens=5,
    )


def test_a_stream_is_refused_before_more_of_it_is_read_than_its_first_words(checkpoints) -> None:
    num_read = 0

    async def pieces():
        nonlocal num_read
        for _ in range(5):
            num_read += 1
            yield "The cat "

    async def body(serving) -> None:
        others = await write(serving, "The", num_texts=3)
        with pytest.raises(QueueFullError):
            await open_stream(serving, asked("english"), pieces(), ScoreStreamParams())
        assert num_read == 1
        others.running.abort()

    serve(checkpoints, body, ("english",), is_started=False, **LIMITS)


def test_room_is_counted_for_every_text_that_a_request_writes(checkpoints) -> None:
    async def body(serving) -> None:
        first = await write(serving, "The", num_texts=2)
        with pytest.raises(QueueFullError):
            await write(serving, TOO_LONG, num_texts=2)
        second = await write(serving, "The")
        first.running.abort()
        second.running.abort()

    serve(checkpoints, body, ("english",), is_started=False, **LIMITS)
