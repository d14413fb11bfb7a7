"""Sending and receiving at once, against servers made by hand."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from refrain.client import (
    AsyncClient,
    Client,
    ConnectionFailedError,
    DeadlineError,
    OverloadedError,
    Retries,
    UnexpectedAnswerError,
)

LINE = b'{"line": 1, "perplexity": null}\n'
LONG_LINE = b'{"line": 1, "a newer field": "%b"}\n' % (b"x" * 10_000)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MUCH = 8_000_000
ONCE = Retries(max_retries=0)


def framed(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@contextmanager
def server_that(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(20)
    assert not thread.is_alive()


def read_until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        some = connection.recv(1 << 20)
        if not some:
            break
        found = (found + some)[-1_000:]
    return found


def ask_waiting(url: str, text, **options) -> list:
    with Client(url, retries=ONCE, **options) as client:
        return list(client.score_lines(text))


def ask_looping(url: str, text, **options) -> list:
    async def main() -> list:
        async with AsyncClient(url, retries=ONCE, **options) as client:
            return [line async for line in client.score_lines(text)]

    return asyncio.run(main())


ASK = pytest.mark.parametrize("ask", [ask_waiting, ask_looping], ids=["sync", "async"])


@ASK
def test_neither_side_waits_for_the_other_when_both_have_more_than_buffers_hold(ask) -> None:
    num_lines = MUCH // len(LONG_LINE)

    def answer_before_reading(connection: socket.socket) -> None:
        connection.sendall(HEAD + framed(LONG_LINE) * num_lines)
        read_until(connection, b"\r\n0\r\n\r\n")
        connection.sendall(framed(b""))

    with server_that(answer_before_reading) as url:
        found = ask(url, (b"x" * 65_536 for _ in range(MUCH // 65_536)), timeout=20)
    assert len(found) == num_lines


@ASK
@pytest.mark.parametrize("size", [1, 7])
def test_answers_may_be_cut_anywhere(ask, size) -> None:
    def answer_bit_by_bit(connection: socket.socket) -> None:
        read_until(connection, b"0\r\n\r\n")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = HEAD + framed(LINE[:9]) + framed(LINE[9:] + LINE) + framed(b"")
        for first in range(0, len(answer), size):
            connection.sendall(answer[first : first + size])

    with server_that(answer_bit_by_bit) as url:
        assert len(ask(url, "a", timeout=20)) == 2


@ASK
def test_an_answer_that_breaks_off_is_an_error(ask) -> None:
    def break_off(connection: socket.socket) -> None:
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(HEAD + framed(LINE) + b"20\r\n{")

    with server_that(break_off) as url, pytest.raises(ConnectionFailedError, match="end"):
        ask(url, "a", timeout=20)


@ASK
def test_a_refusal_before_the_text_is_read_is_reported(ask) -> None:
    body = b'{"error": {"message": "full", "type": "t", "param": null, "code": "overloaded"}}'
    head = b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: %d\r\n\r\n" % len(body)

    def refuse(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + head + body)
        read_until(connection, b"never")

    with server_that(refuse) as url, pytest.raises(OverloadedError, match="full") as refusal:
        ask(url, ["x" * 65_536] * 50, timeout=20)
    assert refusal.value.retry_after == 3


@ASK
def test_a_server_that_falls_silent_is_left(ask) -> None:
    def say_nothing(connection: socket.socket) -> None:
        read_until(connection, b"never")

    with server_that(say_nothing) as url, pytest.raises(DeadlineError, match="seconds"):
        ask(url, "a", timeout=0.05)


@ASK
def test_what_goes_wrong_with_the_text_reaches_its_giver(ask) -> None:
    def pieces():
        yield "a"
        raise ValueError("no more")

    def read_on(connection: socket.socket) -> None:
        read_until(connection, b"never")

    with server_that(read_on) as url, pytest.raises(ValueError, match="no more"):
        ask(url, pieces(), timeout=20)


@ASK
def test_where_nobody_listens_there_is_no_connection(ask) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ConnectionFailedError) as failure:
        ask(url, "a", timeout=20)
    assert not failure.value.was_sent


@ASK
@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 fine\r\n\r\n",
        b"HTTP/1.1 099 Early\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nlong: " + b"x" * 70_000,
        HEAD + b"many\r\n{}\r\n",
        HEAD + b"-5\r\n{}\r\n",
        HEAD + b"\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: \xff\r\ncontent-length: few\r\n\r\n{}",
    ],
    ids=lambda answer: str(answer[:60]),
)
def test_an_answer_that_is_not_http_is_unexpected(ask, answer) -> None:
    def speak_another_tongue(connection: socket.socket) -> None:
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(answer)
        read_until(connection, b"never")

    with (
        server_that(speak_another_tongue) as url,
        pytest.raises(UnexpectedAnswerError, match="not HTTP"),
    ):
        ask(url, "a", timeout=20)


def test_a_connection_that_cannot_be_encrypted_is_closed(monkeypatch) -> None:
    received = []

    def refuse(*_: object, **__: object) -> None:
        raise ssl.SSLError("no certificates")

    def listen(connection: socket.socket) -> None:
        received.append(connection.recv(1))

    with server_that(listen) as url, Client(url.replace("http", "https"), retries=ONCE) as client:
        monkeypatch.setattr("ssl.create_default_context", refuse)
        with pytest.raises(ConnectionFailedError, match="no certificates"):
            list(client.score_lines("a"))
    assert received == [b""]


class Hesitant(socket.socket):
    """A connection that cannot send before something has come, as one of TLS may."""

    num_sent = 0

    def send(self, *_: object) -> int:
        self.num_sent += 1
        assert self.num_sent < 10, "it asks again and again"
        raise ssl.SSLWantReadError


def test_a_sender_that_has_to_read_first_waits_for_that_alone(monkeypatch) -> None:
    made = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        made.append(Hesitant())
        made[0].settimeout(timeout)
        made[0].connect(address)
        return made[0]

    def read_on(connection: socket.socket) -> None:
        read_until(connection, b"never")

    monkeypatch.setattr("socket.create_connection", connect)
    with server_that(read_on) as url, pytest.raises(DeadlineError):
        ask_waiting(url, "a", timeout=0.05)
    assert made[0].num_sent == 1
