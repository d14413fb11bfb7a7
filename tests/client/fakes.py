"""A server and a clock made by hand, and clients that stand on them."""

import json

import httpx

from refrain.client import AsyncClient, Client, Retries

VERSION = {"refrain": "1", "python": "3", "torch": "2", "device": "cpu", "a newer field": [1]}
FULL = {"error": {"message": "full", "type": "overloaded_error", "param": None, "code": "full"}}
PIECE = {"index": 0, "text": "a\u2028b\x85c", "finish_reason": None}


class FakeServer(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers one thing after the other; errors are raised."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.handle_request(request)


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def clock(self) -> float:
        return self.now


def full(**headers: str) -> httpx.Response:
    return httpx.Response(503, json=FULL, headers=headers)


def good(values: object = VERSION) -> httpx.Response:
    return httpx.Response(200, json=values)


def client_of(server: FakeServer, time: FakeTime, **retries) -> Client:
    known = Retries(**{"random": lambda: 1.0, **retries})
    sleeping = {"sleep": time.sleep, "clock": time.clock}
    return Client("http://test", transport=server, retries=known, **sleeping)


def async_client_of(server: FakeServer, time: FakeTime, **retries) -> AsyncClient:
    known = Retries(**{"random": lambda: 1.0, **retries})
    sleeping = {"sleep": time.async_sleep, "clock": time.clock}
    return AsyncClient("http://test", transport=server, retries=known, **sleeping)


def events(*values: object, is_whole: bool = True) -> httpx.Response:
    lines = [f"data: {json.dumps(value, ensure_ascii=False)}\n\n" for value in values]
    return httpx.Response(200, text="".join(lines) + "data: [DONE]\n\n" * is_whole)
