"""Over a real socket: streams arrive as they are written, and a caller who leaves frees the slot."""

import contextlib
import json
import socket
import threading

import httpx
import pytest

ENDLESS = {"prompt": "The", "model": "english", "max_tokens": 10**8, "ignore_eos": True}


def test_a_stream_arrives_while_it_is_being_written(address) -> None:
    with (
        httpx.Client(base_url=address, timeout=20) as client,
        client.stream("POST", "/generate", json={**ENDLESS, "stream": True}) as response,
    ):
        events = (line for line in response.iter_lines() if line)
        pieces = [json.loads(next(events).removeprefix("data: ")) for _ in range(20)]
    assert all(piece["finish_reason"] is None for piece in pieces)


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_leaves_frees_the_slot(address, stream) -> None:
    with httpx.Client(base_url=address, timeout=20) as client:
        leaving = httpx.Client(base_url=address, timeout=0.3)
        with leaving, contextlib.suppress(httpx.ReadTimeout):
            if stream:
                with leaving.stream("POST", "/generate", json={**ENDLESS, "stream": True}) as left:
                    next(left.iter_lines())
            else:
                leaving.post("/generate", json=ENDLESS)
        answer = client.post("/next", json={"prefix": "The", "model": "english"})
    assert answer.status_code == 200


LONG = "the old cat sat on the mat " * 60_000
LEFT = {
    "/score": {"text": [LONG] * 2, "model": "english"},
    "/generate": ENDLESS,
}


@pytest.mark.parametrize("path", LEFT)
def test_whatever_was_asked_is_given_up_when_the_caller_leaves(service, path) -> None:
    driver = service.registry.models["english"].driver
    with httpx.Client(base_url=service.address, timeout=20) as client:
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as leaving:
            body = json.dumps(LEFT[path]).encode()
            head = f"POST {path} HTTP/1.1\r\nhost: me\r\ncontent-length: {len(body)}\r\n\r\n"
            leaving.sendall(head.encode() + body)
            while not driver.load.num_running:
                client.get("/health/live")
        for _ in range(100):
            client.get("/health/live")
            if not driver.load.num_running and not driver.load.num_waiting:
                break
    assert not driver.load.num_running
    assert not driver.load.num_waiting


@pytest.mark.parametrize("is_sent_whole", [True, False])
def test_a_caller_who_leaves_a_score_stream_frees_the_slot(address, is_sent_whole) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    text = b"The old cat sat on the mat. " * 40_000
    with socket.create_connection((host, int(port)), timeout=20) as leaving:
        length = len(text) if is_sent_whole else 10 * len(text)
        path = "/score/stream?model=english&stride=100"
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n"
        leaving.sendall(head.encode())
        threading.Thread(target=send_quietly, args=(leaving, text), daemon=True).start()
        found = b""
        while found.count(b'"final": false') < 3:
            found += leaving.recv(4_096)
    with httpx.Client(base_url=address, timeout=20) as client:
        answer = client.post("/next", json={"prefix": "The", "model": "english"})
        assert answer.status_code == 200
        assert client.get("/health/ready").status_code == 200


def send_quietly(connection: socket.socket, text: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(text)
