"""What is tried again, how long is waited before, and what never is."""

import json

import httpx
import pytest

from refrain.client import (
    Client,
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    OverloadedError,
    ServerError,
    UnexpectedAnswerError,
)
from tests.client.fakes import (
    FULL,
    PIECE,
    VERSION,
    FakeServer,
    FakeTime,
    client_of,
    events,
    full,
    good,
)

SESSION = {"session": "s", "model": "m", "num_tokens": 0}


def test_waits_double_up_to_the_longest() -> None:
    server, time = FakeServer(*[httpx.ConnectError("refused")] * 5, good()), FakeTime()
    client = client_of(server, time, max_retries=5, first_wait=1.0, longest_wait=5.0)
    assert client.version().refrain == "1"
    assert time.waits == [1, 2, 4, 5, 5]


def test_half_of_a_wait_is_left_to_chance() -> None:
    server, time = FakeServer(httpx.ConnectError("refused"), good()), FakeTime()
    client_of(server, time, first_wait=1.0, random=lambda: 0.0).version()
    assert time.waits == [0.5]


def test_a_full_server_is_asked_again_when_it_reports_so() -> None:
    server, time = FakeServer(full(**{"retry-after": "2"}), good()), FakeTime()
    client_of(server, time).version()
    assert time.waits == [2]


@pytest.mark.parametrize("headers", [{}, {"retry-after": "60"}, {"retry-after": "soon"}])
def test_a_server_that_does_not_name_a_time_or_too_late_is_not_asked_again(headers) -> None:
    server, time = FakeServer(full(**headers)), FakeTime()
    with pytest.raises(OverloadedError) as refusal:
        client_of(server, time).version()
    assert refusal.value.retry_after == (60 if headers.get("retry-after") == "60" else None)
    assert not time.waits


def test_patience_ends_after_some_tries_and_some_time() -> None:
    failures = [httpx.ConnectError("refused")] * 9
    server, time = FakeServer(*failures), FakeTime()
    with pytest.raises(ConnectionFailedError, match="refused"):
        client_of(server, time).version()
    assert len(server.requests) == 4
    server, time = FakeServer(*failures), FakeTime()
    with pytest.raises(ConnectionFailedError):
        client_of(server, time, max_retries=9, first_wait=1, longest_total=4).version()
    assert time.waits == [1, 2]


def test_a_broken_connection_is_tried_again_only_where_asking_twice_does_no_harm() -> None:
    server, time = FakeServer(httpx.RemoteProtocolError("left"), good()), FakeTime()
    client_of(server, time).version()
    assert len(server.requests) == 2
    server = FakeServer(good(SESSION), httpx.RemoteProtocolError("left"), good(SESSION))
    session = client_of(server, time).session().open()
    with pytest.raises(ConnectionFailedError, match="left"):
        session.append("twice?")
    assert len(server.requests) == 2


def test_faults_of_the_caller_and_of_the_server_are_reported_at_once() -> None:
    for status, kind in ((400, InvalidRequestError), (500, ServerError), (504, DeadlineError)):
        server = FakeServer(httpx.Response(status, json=FULL, headers={"retry-after": "1"}))
        with pytest.raises(kind, match="full"):
            client_of(server, FakeTime()).version()


def test_health_is_reported_as_it_is() -> None:
    server = FakeServer(full(**{"retry-after": "1"}))
    with pytest.raises(OverloadedError):
        client_of(server, FakeTime()).health()


def test_a_stream_is_tried_again_until_it_begins_and_never_after() -> None:
    server, time = (
        FakeServer(full(**{"retry-after": "1"}), events(PIECE, is_whole=False)),
        FakeTime(),
    )
    stream = client_of(server, time).stream("a")
    assert next(stream).text == "a\u2028b\x85c"
    with pytest.raises(ConnectionFailedError, match="broke off"):
        next(stream)
    assert len(server.requests) == 2


def test_an_error_within_a_stream_is_raised_as_its_kind() -> None:
    server = FakeServer(events(PIECE, FULL))
    stream = client_of(server, FakeTime()).stream("a")
    next(stream)
    with pytest.raises(OverloadedError, match="full") as refusal:
        next(stream)
    assert refusal.value.status is None


def test_a_text_that_is_given_in_pieces_is_not_sent_twice_but_a_whole_one_is() -> None:
    block = {
        **dict.fromkeys(("log_likelihood", "num_tokens", "num_unknown"), 0),
        **dict.fromkeys(("perplexity", "bits_per_character")),
        "model": "m",
        "final": True,
    }
    done = httpx.Response(200, content=json.dumps(block) + "\n")
    server = FakeServer(full(**{"retry-after": "1"}), done)
    assert next(client_of(server, FakeTime()).score_stream("abc")).final
    assert [request.content for request in server.requests] == [b"abc"] * 2
    server = FakeServer(full(**{"retry-after": "1"}))
    with pytest.raises(OverloadedError):
        next(client_of(server, FakeTime()).score_stream(["abc"]))


def test_a_deadline_of_a_request_is_waited_for() -> None:
    server = FakeServer(good(SESSION), httpx.ReadTimeout("slow"))
    client = Client("http://test", transport=server, timeout=1)
    client.session(timeout=30).open()
    assert server.requests[0].extensions["timeout"]["read"] == 35
    with pytest.raises(DeadlineError, match="slow"):
        client.version()
    assert server.requests[1].extensions["timeout"]["read"] == 1


def test_a_key_is_sent_with_every_request_and_must_fit_a_header() -> None:
    server = FakeServer(good())
    Client("http://test/prefix/", transport=server, api_key="secret").version()
    assert server.requests[0].headers["authorization"] == "Bearer secret"
    assert server.requests[0].url == "http://test/prefix/version"
    with pytest.raises(ValueError, match="api_key"):
        Client(api_key="two\nlines")


ANSWERS = {
    "no JSON": (httpx.Response(200, text="<html>"), "as a Refrain server"),
    "another JSON": (good({"refrain": "1"}), "lacks Version.python"),
    "another type": (good({**VERSION, "torch": 2}), "Version.torch"),
    "elsewhere": (httpx.Response(302, headers={"location": "/"}), "302"),
}


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_one_of_a_refrain_server_is_refused(answer, words) -> None:
    with pytest.raises(UnexpectedAnswerError, match=words):
        client_of(FakeServer(answer), FakeTime()).version()


def test_a_refusal_by_something_in_between_keeps_its_status() -> None:
    server = FakeServer(httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(ServerError, match="502") as refusal:
        client_of(server, FakeTime()).version()
    assert refusal.value.status == 502
    assert refusal.value.code is None
