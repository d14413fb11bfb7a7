"""Logs: a line a request in either format, and not a word of a caller's text in any line, whatever goes wrong."""

import asyncio
import contextlib
import io
import json
import logging
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from refrain.app.log_format import (
    REQUESTS,
    JSONFormatter,
    TextFormatter,
    configure_logging,
    locations_of,
)
from refrain.app.main import create_app
from refrain.app.settings import Settings
from tests.support.service import startup_of

MARKER = "Zaubernuss"
KEPT = ("model", "language", "normalize", "unit", "form", "recipe")
"""Fields whose values are names and no texts."""


@pytest.fixture
def written(monkeypatch) -> Iterator[dict[str, io.StringIO]]:
    """What every logger of the process writes, in both formats; but for the test's own HTTP client."""
    root, requests = logging.getLogger(), logging.getLogger(REQUESTS)
    # Another test of this process may have let uvicorn configure its own loggers; `refrain serve` does not.
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    found = {"json": io.StringIO(), "text": io.StringIO()}
    handlers = []
    for name, formatter in (("json", JSONFormatter()), ("text", TextFormatter())):
        handler = logging.StreamHandler(found[name])
        handler.setFormatter(formatter)
        handler.addFilter(lambda record: not record.name.startswith("http"))
        handlers.append(handler)
    levels = root.level, requests.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    requests.setLevel(logging.INFO)
    yield found
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    requests.setLevel(levels[1])


@pytest.fixture
def faulty(checkpoints) -> Iterator[tuple]:
    """A service over a socket that breaks in several places when it reads the marker."""
    app = create_app(Settings(models=checkpoints, max_body_bytes=20_000))

    @app.post("/fault")
    async def fault(text: dict[str, str]) -> None:
        async def leave() -> None:
            raise RuntimeError(MARKER)

        asyncio.get_running_loop().call_soon(int, MARKER)
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        del task  # nobody asks it: asyncio reports its fault
        try:
            raise KeyError(text["text"])
        except KeyError as error:
            raise ValueError(f"no {text}") from error

    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    started = startup_of(server)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        assert started.wait(60), "the server did not start"
        with httpx.Client(base_url=base, timeout=60) as client:
            yield app, client
    finally:
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


def marked(value, name: str = ""):
    """A body's example with the marker in place of every text."""
    if isinstance(value, dict):
        return {key: marked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [marked(each, name) for each in value]
    return MARKER if isinstance(value, str) and name not in KEPT else value


def requests_of(app) -> Iterator[tuple[str, str, bytes]]:
    """Every route with the marker in its body, right and wrong, in its path and in its query."""
    description = app.openapi()
    schemas = description["components"]["schemas"]
    for path, operations in description["paths"].items():
        place = path.replace("{", "").replace("}", "") if "{" not in path else None
        place = place or path.split("{")[0] + MARKER + path.partition("}")[2]
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            name = schema.get("$ref", "").rpartition("/")[2]
            for example in schemas.get(name, {}).get("examples", [{}]):
                body = marked(example)
                for sent in (body, body | {MARKER: 1}, {key: {MARKER: 1} for key in body}):
                    yield method, place, json.dumps(sent).encode()
            yield method, f"{place}?model={MARKER}&{MARKER}=1", MARKER.encode()
            yield method, place, f'{{"text": "{MARKER}'.encode()
            yield method, place, f'"{MARKER}'.encode() * 4_000
            yield method, place, MARKER.encode("utf-16")
    yield "delete", "/generate", MARKER.encode()
    yield "get", f"/{MARKER}", b""
    yield "post", "/fault", json.dumps({"text": MARKER}).encode()


def test_no_text_of_a_caller_is_in_any_log_line(faulty, written) -> None:
    app, client = faulty
    with contextlib.suppress(httpx.TransportError):
        client.request(MARKER, "/generate")  # uvicorn itself refuses it
    headers = {"user-agent": MARKER, "content-type": "application/json"}
    statuses = {}
    for method, path, body in requests_of(app):
        with contextlib.suppress(httpx.TransportError):  # of too large a body the end is not read
            answer = client.request(method, path, content=body, headers=headers)
            statuses[answer.headers["x-request-id"]] = answer.status_code

    def broken(*_: object) -> None:
        raise ValueError(MARKER)

    app.state.registry.models["english"].driver.engine.step = broken
    app.state.registry.models["sentiment-en"].driver._run_batch = broken
    for path in ("/score", "/sentiment"):
        body = {"text": f"{MARKER} " * 30, "model": "english" if path == "/score" else None}
        answer = httpx.post(f"{client.base_url}{path}", json=body, timeout=60)
        statuses[answer.headers["x-request-id"]] = answer.status_code
        assert answer.status_code == 500
    assert set(statuses.values()) >= {200, 400, 404, 405, 500}
    for stream in written.values():
        text = stream.getvalue()
        assert "ValueError" in text
        assert "in fault" in text  # the place
        assert MARKER not in text
    lines = [json.loads(line) for line in written["json"].getvalue().splitlines()]
    about = {line["request_id"]: line for line in lines if line["logger"] == REQUESTS}
    assert len(statuses) > 50
    assert {request_id: about[request_id]["status"] for request_id in statuses} == statuses
    assert {line["logger"] for line in lines} >= {REQUESTS, "refrain", "uvicorn.error", "asyncio"}


def test_a_line_reports_what_was_asked_and_what_it_cost(serve, written) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The cat", "model": "english", "max_tokens": 5, "ignore_eos": True}
        await client.post("/generate", json=asked, headers={"x-request-id": "abc"})
        await client.get("/models/none")

    serve(body)
    lines = map(json.loads, written["json"].getvalue().splitlines())
    generate, models = [line for line in lines if line["logger"] == REQUESTS]
    assert generate.pop("time").endswith("Z")
    for name in ("duration_seconds", "queue_seconds", "first_token_seconds"):
        assert 0 <= generate.pop(name) < 60
    assert generate.pop("message").startswith("POST /generate 200 in ")
    assert generate == {
        "level": "info",
        "logger": REQUESTS,
        "request_id": "abc",
        "method": "POST",
        "route": "/generate",
        "status": 200,
        "ending": "answered",
        "model": "english",
        "prompt_tokens": 3,
        "generation_tokens": 5,
        "finish_reason": "length",
    }
    assert models["route"] == "/models/{name}"
    assert (models["status"], models["error"]) == (404, "model_not_found")
    assert "model" not in models


def test_an_exception_is_reported_by_its_types_and_locations_and_no_message() -> None:
    try:
        try:
            raise KeyError(MARKER)
        except KeyError as error:
            raise ExceptionGroup(MARKER, [ValueError(MARKER)]) from error
    except ExceptionGroup as error:
        text = locations_of(error)
    assert MARKER not in text.replace("raise KeyError(MARKER)", "")
    for name in ("KeyError", "ValueError", "ExceptionGroup", "test_an_exception_is_reported"):
        assert name in text


@pytest.mark.parametrize(
    ("log_format", "level", "is_written"),
    [("json", "info", True), ("text", "info", False), ("text", "debug", True)],
)
def test_requests_have_lines_as_json_or_when_debugging(
    monkeypatch, log_format, level, is_written
) -> None:
    root, requests = logging.getLogger(), logging.getLogger(REQUESTS)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    before = requests.level
    try:
        configure_logging(log_format, level)
        assert requests.isEnabledFor(logging.INFO) == is_written
        (handler,) = root.handlers
        assert isinstance(handler.formatter, JSONFormatter) == (log_format == "json")
    finally:
        requests.setLevel(before)
        logging.captureWarnings(capture=False)
