"""Answers as the server sent them, past the dataclasses, with the same retries and errors."""

import asyncio
import json

import httpx
import pytest

from refrain.client import ConnectionFailedError, InvalidRequestError, UnexpectedAnswerError
from tests.client.fakes import (
    FULL,
    PIECE,
    FakeServer,
    FakeTime,
    async_client_of,
    client_of,
    events,
    full,
    good,
)

ANSWER = {"model": "m", "results": [{"a newer field": None, "text": "河"}], "count": 1}
END = {
    "model": "m",
    "seed": 4,
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    "a newer field": [None],
}


def post_waiting(server: FakeServer, time: FakeTime, path: str, body: dict) -> dict:
    with client_of(server, time) as client:
        return client.post(path, body)


def post_looping(server: FakeServer, time: FakeTime, path: str, body: dict) -> dict:
    async def main() -> dict:
        async with async_client_of(server, time) as client:
            return await client.post(path, body)

    return asyncio.run(main())


POST = pytest.mark.parametrize("post", [post_waiting, post_looping], ids=["sync", "async"])


@POST
def test_a_body_is_posted_and_the_answer_is_returned_as_it_was_sent(post) -> None:
    server = FakeServer(good(ANSWER))
    body = {"text": ["河"], "timeout": 90, "unknown": None}
    assert post(server, FakeTime(), "/score", body) == ANSWER
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", "http://test/score")
    assert json.loads(request.content) == body
    assert request.headers["content-type"] == "application/json"
    assert request.extensions["timeout"]["read"] == 95


@POST
def test_a_full_server_is_posted_to_again_when_it_reports_so(post) -> None:
    server, time = FakeServer(full(**{"retry-after": "2"}), good(ANSWER)), FakeTime()
    assert post(server, time, "/next", {}) == ANSWER
    assert time.waits == [2]


@POST
def test_a_broken_connection_is_tried_again_on_pure_routes_alone(post) -> None:
    server = FakeServer(httpx.RemoteProtocolError("left"), good(ANSWER))
    assert post(server, FakeTime(), "/generate", {}) == ANSWER
    for path in ("/sessions", "/a/newer/route"):
        server = FakeServer(httpx.RemoteProtocolError("left"), good(ANSWER))
        with pytest.raises(ConnectionFailedError, match="left"):
            post(server, FakeTime(), path, {})


@POST
def test_a_refusal_is_the_same_error_as_of_other_methods(post) -> None:
    server = FakeServer(httpx.Response(400, json=FULL, headers={"x-request-id": "r"}))
    with pytest.raises(InvalidRequestError, match="full") as refusal:
        post(server, FakeTime(), "/score", {"timeout": "soon"})
    assert (refusal.value.status, refusal.value.request_id) == (400, "r")


NO_OBJECTS = {
    "list": lambda: good([1]),
    "string": lambda: good("text"),
    "null": lambda: good(None),
    "nothing": lambda: httpx.Response(204),
    "stream": lambda: events(PIECE, END),
}


@POST
@pytest.mark.parametrize("answer", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_an_answer_that_is_no_object_is_unexpected(post, answer) -> None:
    with pytest.raises(UnexpectedAnswerError):
        post(FakeServer(answer()), FakeTime(), "/score", {})


@POST
def test_a_path_without_a_slash_is_refused_before_anything_is_sent(post) -> None:
    with pytest.raises(ValueError, match="begin with /"):
        post(FakeServer(), FakeTime(), "score", {})


def test_the_end_of_a_stream_is_kept_as_it_was_sent() -> None:
    stream = client_of(FakeServer(events(PIECE, END)), FakeTime()).stream("a")
    assert next(stream).index == 0
    assert stream.end_json is None
    assert list(stream) == []
    assert stream.end_json == END
    assert stream.end is not None
    assert stream.end.seed == 4


def test_the_end_of_a_stream_on_an_event_loop_is_kept_as_it_was_sent() -> None:
    async def main() -> None:
        stream = async_client_of(FakeServer(events(PIECE, END)), FakeTime()).stream("a")
        assert [piece.index async for piece in stream] == [0]
        assert stream.end_json == END

    asyncio.run(main())
