"""Traces: a span a request with what it asked and cost, exported where the setting points, no caller's text in it."""

import asyncio
import http.server
import sys
import threading

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from refrain.app.api.observe.tracing import Tracing, make_tracing
from refrain.app.main import create_app
from refrain.app.settings import Settings
from refrain.models.errors import ConfigError

FRESH_SERVICE = True

MARKER = "Zaubernuss"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MARKED = {
    "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    "tracestate": f"vendor={MARKER}",
    "baggage": f"user={MARKER}",
    "x-request-id": f"{MARKER} no name",  # what is no name is not taken over
    **dict.fromkeys(("user-agent", "host", "referer", "cookie", "x-anything"), MARKER),
}
"""Headers of a caller who writes the marker wherever one may."""


@pytest.fixture
def spans_of(serve, monkeypatch):
    """Run a coroutine against a traced service and give its spans, by name."""

    def run(body, **settings: object) -> list[ReadableSpan]:
        exporter = InMemorySpanExporter()
        monkeypatch.setattr("refrain.app.main.make_tracing", lambda _: Tracing(exporter))
        serve(body, **settings)
        return list(exporter.get_finished_spans())

    return run


def test_a_span_reports_what_was_asked_and_what_it_cost(spans_of) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The cat", "model": "english", "max_tokens": 5, "ignore_eos": True}
        headers = {"x-request-id": "abc"}
        await client.post("/generate", json=asked | {"stream": True}, headers=headers)
        await client.post("/score", json={"text": "The cat sat.", "model": "english"})

    generate, score = spans_of(body)
    assert generate.name == "POST /generate"
    found = dict(generate.attributes)
    assert found["http.route"] == "/generate"
    assert found["gen_ai.operation.name"] == "text_completion"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "english"
    assert found["gen_ai.usage.input_tokens"] == 3
    assert found["gen_ai.usage.output_tokens"] == 5
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert 0 < found["gen_ai.response.time_to_first_chunk"] < 60
    assert 0 <= found["refrain.queue_time"] < 60
    assert found["refrain.request_id"] == "abc"
    assert generate.resource.attributes["service.name"] == "refrain"
    assert score.attributes["gen_ai.usage.input_tokens"] == 4
    assert "gen_ai.operation.name" not in score.attributes


def test_no_text_of_a_caller_is_in_a_span(checkpoints, monkeypatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("refrain.app.main.make_tracing", lambda _: Tracing(exporter))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-anything")

    async def body() -> None:
        app = create_app(Settings(models=checkpoints))

        @app.post("/fault")
        async def fault(text: dict[str, str]) -> None:
            raise ValueError(text)

        address = (MARKER, 1)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=address)
        client = httpx.AsyncClient(transport=transport, base_url="http://test", headers=MARKED)
        async with app.router.lifespan_context(app), client:
            texts = {"prompt": MARKER, "text": MARKER}
            for path in ("/generate", f"/models/{MARKER}", f"/{MARKER}", "/fault"):
                await client.post(f"{path}?model={MARKER}", json=texts)
            await client.post(f"/score/stream?model={MARKER}", content=MARKER)
            await client.request(MARKER, "/generate")

    asyncio.run(body())
    spans = exporter.get_finished_spans()
    assert len(spans) == 6
    assert not [span for span in spans if MARKER in span.to_json()]
    for span in spans:
        assert f"{span.parent.trace_id:032x}" == f"{span.context.trace_id:032x}" == TRACE
        assert not span.context.trace_state
        assert not span.parent.trace_state
    (fault,) = [span for span in spans if span.name == "POST /fault"]
    assert fault.status.is_ok is False
    assert fault.events[0].attributes["exception.type"] == "ValueError"
    errors = [span.attributes.get("error.type") for span in spans]
    assert errors.count("internal") == 1


def test_who_asks_how_the_service_is_gets_no_span(spans_of) -> None:
    async def body(client) -> None:
        for path in ("/health/live", "/health/ready", "/metrics", "/load"):
            assert (await client.get(path)).status_code == 200

    assert spans_of(body) == []


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is exported."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_spans_reach_a_collector_and_the_standard_variables_hold(serve, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "poems")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=seven")
    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        async def body(client) -> None:
            await client.post("/next", json={"prefix": "The", "model": "english"})

        serve(body, otlp_endpoint=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    ((path, headers, packed),) = server.received
    assert path == "/v1/traces"
    assert headers["x-tenant"] == "seven"
    (spans,) = ExportTraceServiceRequest.FromString(packed).resource_spans
    resource = {each.key: each.value.string_value for each in spans.resource.attributes}
    assert resource["service.name"] == "poems"
    assert spans.scope_spans[0].spans[0].name == "POST /next"


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert make_tracing("") is None


def test_a_missing_extra_is_reported_with_what_to_do(monkeypatch, checkpoints) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"--editable '.\[tracing\]'"):
        create_app(Settings(models=checkpoints, otlp_endpoint="http://127.0.0.1:1"))
