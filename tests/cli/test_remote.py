"""`--url`: what a server may answer, and what is reported where it does not."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from refrain.cli.main import main

TEXT = "a\u2028b\u2029c\x85d"
PIECES = [
    {"index": 0, "text": TEXT[:3], "finish_reason": None},
    {"index": 0, "text": TEXT[3:], "finish_reason": "length"},
    {
        "model": "tiny",
        "seed": 1,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
]


class Stub(HTTPServer):
    """A server that has no room for the first request, and answers all others with the same lines."""

    def __init__(self, events: list[dict], *, ends: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
        self.body = ("".join(lines) + "data: [DONE]\n\n" * ends).encode()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.num_requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.num_requests += 1
        self.send_response(503 if self.server.num_requests == 1 else 200)
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(b"" if self.server.num_requests == 1 else self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serving(monkeypatch, capsys) -> Iterator:
    """Serve these events, on a thread, to a command that is at a terminal."""
    stubs: list[tuple[Stub, threading.Thread]] = []

    def serve(events: list[dict], *, ends: bool = True) -> Stub:
        stub = Stub(events, ends=ends)
        stubs.append((stub, threading.Thread(target=stub.serve_forever, args=(0.01,))))
        stubs[-1][1].start()
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        return stub

    yield serve
    for stub, thread in stubs:
        stub.shutdown()
        stub.server_close()
        thread.join(30)


def test_a_text_may_hold_every_line_end_of_unicode_and_a_full_server_is_asked_again(
    serving, capsys
) -> None:
    stub = serving(PIECES)
    assert main(["generate", "The", "--url", stub.url]) == 0
    assert capsys.readouterr().out == TEXT + "\n"
    assert stub.num_requests == 2


def test_a_stream_that_breaks_off_is_reported_in_one_line(serving, capsys) -> None:
    stub = serving(PIECES[:1], ends=False)
    assert main(["generate", "The", "--url", stub.url]) == 2
    assert capsys.readouterr().err == f"refrain: {stub.url}: the stream broke off before its end\n"


def test_an_error_within_a_stream_is_reported_in_the_server_s_words(serving, capsys) -> None:
    stub = serving([PIECES[0], {"error": {"message": "the service stops", "code": "stopping"}}])
    assert main(["generate", "The", "--url", stub.url]) == 2
    assert capsys.readouterr().err == f"refrain: {stub.url}: the service stops\n"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "http://127.0.0.1:x"])
def test_what_is_no_address_is_refused(url, capsys) -> None:
    assert main(["score", "The", "--url", url]) == 2
    assert "--url: base_url" in capsys.readouterr().err
