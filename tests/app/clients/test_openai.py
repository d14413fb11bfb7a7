"""The `openai` package, unchanged, over a socket."""

import asyncio
import contextlib

import httpx
import numpy as np
import openai
import pytest

from refrain.app.settings import Settings
from tests.support.service import listening

pytestmark = pytest.mark.slow

PROMPT = "The old cat"


@pytest.fixture
def client(plain_address):
    with openai.OpenAI(base_url=f"{plain_address}/v1", api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
def ours(plain_address) -> str:
    asked = {"prompt": PROMPT, "model": "english", "max_tokens": 12, "seed": 7}
    answer = httpx.post(f"{plain_address}/generate", json=asked).json()
    return answer["choices"][0]["text"]


def test_a_completion_is_read(client, ours) -> None:
    answer = client.completions.create(
        model="english", prompt=PROMPT, max_tokens=12, seed=7, logprobs=2, user="somebody"
    )
    (choice,) = answer.choices
    assert choice.text == ours
    assert choice.finish_reason in ("stop", "length")
    assert len(choice.logprobs.tokens) == answer.usage.completion_tokens
    assert answer.usage.prompt_tokens == 3


def test_a_stream_is_read(client, ours) -> None:
    stream = client.completions.create(
        model="english",
        prompt=PROMPT,
        max_tokens=12,
        seed=7,
        stream=True,
        stream_options={"include_usage": True},
    )
    events = list(stream)
    assert "".join(choice.text for event in events for choice in event.choices) == ours
    assert events[-1].usage.total_tokens == 3 + events[-1].usage.completion_tokens


def test_the_asynchronous_client_reads_many_at_once(plain_address, ours) -> None:
    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{plain_address}/v1", api_key="x") as client:

            async def ask() -> str:
                answer = await client.completions.create(
                    model="english", prompt=PROMPT, max_tokens=12, seed=7
                )
                return answer.choices[0].text

            async def listen() -> str:
                stream = await client.completions.create(
                    model="english", prompt=PROMPT, max_tokens=12, seed=7, stream=True
                )
                return "".join([event.choices[0].text async for event in stream])

            return await asyncio.gather(*(ask() for _ in range(6)), *(listen() for _ in range(6)))

    assert asyncio.run(main()) == [ours] * 12


def test_models_are_listed_and_found(client) -> None:
    names = [model.id for model in client.models.list()]
    assert {"tang", "english", "sentiment-en"} <= set(names)
    assert client.models.retrieve("tang").owned_by == "refrain"
    with pytest.raises(openai.NotFoundError, match="loaded: "):
        client.models.retrieve("nobody")


def test_refusals_are_the_errors_that_the_client_knows(client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="english", prompt=PROMPT, temperature=-1)
    assert refused.value.param == "temperature"
    assert refused.value.code == "invalid_value"
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="nobody", prompt=PROMPT)
    assert missing.value.code == "model_not_found"


def test_embeddings_come_as_the_client_asks_for_them(plain_address, checkpoints) -> None:
    with (
        listening(Settings(models=checkpoints, precision="int8")) as service,
        openai.OpenAI(base_url=f"{service.address}/v1", api_key="x") as client,
    ):
        plain = client.embeddings.create(
            model="english", input=["The cat", "A day"], encoding_format="float"
        )
        usual = client.embeddings.create(model="english", input=["The cat", "A day"])
    for one, other in zip(plain.data, usual.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-7)
        assert np.linalg.norm(other.embedding) == pytest.approx(1, abs=1e-6)


def test_a_full_server_is_asked_again(service) -> None:
    endless = {"prompt": "The", "model": "english", "max_tokens": 10**8, "ignore_eos": True}
    statuses, lines = [], []
    with contextlib.ExitStack() as streams:
        filler = streams.enter_context(httpx.Client(base_url=service.address, timeout=20))
        for _ in range(5):
            stream = filler.stream("POST", "/generate", json={**endless, "stream": True})
            lines.append(streams.enter_context(stream).iter_lines())
            next(lines[-1])

        def make_room(response: httpx.Response) -> None:
            statuses.append(response.status_code)
            streams.close()

        http_client = httpx.Client(event_hooks={"response": [make_room]})
        with openai.OpenAI(
            base_url=f"{service.address}/v1", api_key="x", http_client=http_client
        ) as client:
            answer = client.completions.create(model="english", prompt=PROMPT, max_tokens=3)
    assert answer.usage.completion_tokens > 0
    assert statuses[0] == 503
    assert statuses[-1] == 200
