"""The client for an event loop answers as the other does."""

import asyncio

import httpx
import pytest

from refrain.client import AsyncClient, Client, NotFoundError
from tests.support.checkpoints import ENGLISH

ENDLESS = {"model": "english", "max_tokens": 10**8, "ignore_eos": True}


def run(address: str, body) -> None:
    async def main() -> None:
        async with AsyncClient(address, timeout=20) as client:
            await asyncio.wait_for(body(client), 60)

    asyncio.run(main())


def test_answers_are_those_of_the_other_client(address, client) -> None:
    asked = {"model": "english", "seed": 3, "max_tokens": 5}

    async def body(other: AsyncClient) -> None:
        assert await other.generate("The", **asked) == client.generate("The", **asked)
        assert await other.score(ENGLISH) == client.score(ENGLISH)
        assert await other.next("The", top_k=2) == client.next("The", top_k=2)
        assert await other.rescore(["the cat"]) == client.rescore(["the cat"])
        assert await other.sentiment(ENGLISH) == client.sentiment(ENGLISH)
        assert await other.models() == client.models()
        assert await other.model("tang") == client.model("tang")
        assert await other.health() == client.health()
        assert await other.version() == client.version()

    run(address, body)


def test_streams_are_those_of_the_other_client(address, client) -> None:
    asked = {"model": "english", "seed": 3, "max_tokens": 5}
    lines = f"{ENGLISH}\n" * 3

    async def pieces():
        yield lines[:10]
        yield lines[10:].encode()

    async def body(other: AsyncClient) -> None:
        stream = other.stream("The", **asked)
        text = "".join([piece.text async for piece in stream])
        assert text == client.generate("The", **asked).text
        assert stream.end is not None
        assert stream.end.usage.completion_tokens == 5
        expected = list(client.score_stream(lines, model="english", stride=7))
        found = other.score_stream(pieces(), model="english", stride=7)
        assert [block async for block in found] == expected
        found = other.score_strides(lines, 7, model="english")
        assert [block async for block in found] == expected
        found = other.score_lines(lines, model="english")
        assert [line async for line in found] == list(client.score_lines(lines, model="english"))

    run(address, body)


def test_a_session_grows_predicts_and_is_forgotten(address) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.session("The", model="english") as session:
            await session.append(" old")
            assert (await session.next(top_k=2)).session == session.id
        with pytest.raises(NotFoundError):
            await session.append(" cat")

    run(address, body)


def test_whoever_leaves_a_stream_frees_its_slot(address, client) -> None:
    async def body(other: AsyncClient) -> None:
        async with other.stream("The", **ENDLESS) as stream:
            assert (await anext(stream)).index == 0
        async for _ in (left := other.stream("The", **ENDLESS)):
            break
        await left.aclose()
        assert (await other.next("The", model="english")).results  # the only slot is free again

    run(address, body)
    assert client.health().status == "ready"


def test_a_stream_that_nobody_holds_any_more_frees_its_slot(address) -> None:
    async def body(client: AsyncClient) -> None:
        assert (await anext(client.stream("The", **ENDLESS))).index == 0
        assert (await client.next("The", model="english")).results

    run(address, body)


def test_a_service_in_the_same_process_can_be_asked(serve) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        async with AsyncClient("http://test", http_client=http) as client:
            found = [piece async for piece in client.stream("The", **ENDLESS | {"max_tokens": 4})]
            assert found[-1].finish_reason == "length"
        assert not http.is_closed

    serve(body)


def test_a_live_source_is_scored_as_it_comes(address) -> None:
    async def body(client: AsyncClient) -> None:
        heard: asyncio.Queue[str | None] = asyncio.Queue()

        async def source():
            while (line := await heard.get()) is not None:
                yield line

        scored = client.score_lines(source(), model="english")
        for number in range(1, 4):
            await heard.put("The cat sat.\n")
            assert (await anext(scored)).line == number
        await heard.put(None)
        assert [line async for line in scored] == []

    run(address, body)


def test_the_other_client_may_be_used_by_threads_beside_it(address) -> None:
    async def body(client: AsyncClient) -> None:
        with Client(address) as other:
            asked = [asyncio.to_thread(other.next, "The", model="english") for _ in range(8)]
            (first, *rest) = await asyncio.gather(*asked)
        assert all(each == first for each in rest)

    run(address, body)
