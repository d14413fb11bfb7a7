"""`/metrics` and `/load`: the names of the contract, and figures that follow from what was asked."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from refrain.app.api.http.errors import CODES, TABLE
from refrain.app.api.observe.metrics import MetricsCollector
from refrain.app.main import create_app
from refrain.app.settings import Settings
from refrain.inference.engine.counters import Histogram

FRESH_SERVICE = True

GAUGES = {"num_requests_running", "num_requests_waiting", "state_cache_usage_ratio"}
COUNTERS = {
    *("prompt_tokens", "generation_tokens", "request_success", "request_failure"),
    *("prefix_cache_hits", "prefix_cache_queries"),
}
HISTOGRAMS = {
    *("time_to_first_token_seconds", "inter_token_latency_seconds", "request_queue_time_seconds"),
    *("e2e_request_latency_seconds", "batch_size", "step_duration_seconds"),
}


async def figures(client) -> dict[tuple, float]:
    """Every sample: (name without prefix, model, finish reason or reason or bucket) -> value."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = dict(sample.labels)
            model = labels.pop("model_name", None)
            key = (sample.name.removeprefix("refrain_"), model, *labels.values())
            found[key] = sample.value
    return found


async def growth(client, work) -> dict[tuple, float]:
    """What some work has added to the figures."""
    before = await figures(client)
    await work
    after = await figures(client)
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key)}


def test_the_names_types_and_labels_are_those_of_the_contract(serve) -> None:
    async def body(client) -> None:
        text = (await client.get("/metrics")).text
        families = {f.name: f for f in text_string_to_metric_families(text)}
        ours = {
            name.removeprefix("refrain_"): f for name, f in families.items() if "refrain" in name
        }
        for names, kind in ((GAUGES, "gauge"), (COUNTERS, "counter"), (HISTOGRAMS, "histogram")):
            assert {name for name, f in ours.items() if f.type == kind} == names
        for name in COUNTERS:
            assert f"\nrefrain_{name}_total{{" in text
        for family in ours.values():
            assert all("model_name" in sample.labels for sample in family.samples)

    serve(body)


def test_a_scraper_may_ask_for_openmetrics(serve) -> None:
    async def body(client) -> None:
        wanted = {"accept": "application/openmetrics-text; version=1.0.0"}
        answer = await client.get("/metrics", headers=wanted)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")

    serve(body)


class Busy(int):
    """A count during whose summing up a histogram counts on."""

    histogram: Histogram

    def __add__(self, other: int) -> "Busy":
        self.histogram.sum += 1
        return Busy(int(self) + other)

    __radd__ = __add__


def test_what_is_counted_while_buckets_are_summed_up_is_in_neither_sum_nor_buckets() -> None:
    histogram = Histogram((1, 2))
    for value in (1, 2, 3):
        histogram.count(value)
    Busy.histogram = histogram
    histogram.counts = list(map(Busy, histogram.counts))
    requests = SimpleNamespace(successes={}, failures={}, latencies={"tang": histogram})
    families = MetricsCollector(SimpleNamespace(models={}), requests).collect()
    latencies = next(each for each in families if "e2e" in each.name)
    found = {(s.name.rpartition("_")[2], s.labels.get("le")): s.value for s in latencies.samples}
    assert found["bucket", "+Inf"] == found["count", None] == 3
    assert found["sum", None] == 6


def test_a_text_is_counted_with_its_tokens_and_latencies(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "春眠", "model": "tang", "max_tokens": 9, "ignore_eos": True, "n": 2}
        grown = await growth(client, client.post("/generate", json=asked))
        assert grown["prompt_tokens_total", "tang"] == 2 * 3
        assert grown["generation_tokens_total", "tang"] == 2 * 9
        assert grown["request_success_total", "tang", "length"] == 1
        assert grown["e2e_request_latency_seconds_count", "tang"] == 1
        assert grown["time_to_first_token_seconds_count", "tang"] == 2
        assert grown["inter_token_latency_seconds_count", "tang"] == 2 * 8
        assert grown["request_queue_time_seconds_count", "tang"] == 2
        assert grown["batch_size_sum", "tang"] == 2 * (3 + 9 - 1)
        assert {model for _, model, *_ in grown if model} == {"tang"}

    serve(body)


def test_a_stream_counts_as_its_whole_text_does(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "model": "english", "max_tokens": 12, "ignore_eos": True}
        grown = await growth(client, client.post("/generate", json={**asked, "stream": True}))
        assert grown["generation_tokens_total", "english"] == 12
        assert grown["inter_token_latency_seconds_count", "english"] == 11
        assert grown["request_success_total", "english", "length"] == 1

    serve(body)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/score", {"text": ["The cat sat.", "A dog."], "model": "english"}),
        ("/next", {"prefix": "The cat", "model": "english"}),
        ("/rescore", {"hypotheses": [{"text": "a cat"}], "model": "english"}),
        ("/sessions", {"text": "The cat ", "model": "english"}),
        ("/score/stream?model=english", None),
    ],
)
def test_what_writes_nothing_counts_tokens_read_and_a_success(serve, path, asked) -> None:
    async def body(client) -> None:
        sent = {"json": asked} if asked else {"content": b"The cat sat. A dog."}
        grown = await growth(client, client.post(path, **sent))
        assert grown["request_success_total", "english", "stop"] == 1
        assert grown["prompt_tokens_total", "english"] > 0
        assert ("generation_tokens_total", "english") not in grown
        assert ("time_to_first_token_seconds_count", "english") not in grown
        assert not [key for key in grown if key[0] == "request_failure_total"]

    serve(body)


def test_classifiers_count_texts_and_each_model_that_a_request_asked(serve) -> None:
    async def body(client) -> None:
        grown = await growth(client, client.post("/sentiment", json={"text": ["A cat.", "春眠"]}))
        for model, num_tokens in (("sentiment-en", 3), ("sentiment-zh", 2)):
            assert grown["request_success_total", model, "stop"] == 1
            assert grown["batch_size_sum", model] == 1
            assert grown["prompt_tokens_total", model] == num_tokens
            assert grown["step_duration_seconds_count", model] == 1

    serve(body)


def test_the_prefix_cache_counts_what_it_is_asked_and_what_it_knew(serve) -> None:
    async def body(client) -> None:
        asked = {"prefix": "The old cat sat on the mat. The dog", "model": "english"}

        async def ask_twice() -> None:
            await client.post("/next", json=asked)
            await client.post("/next", json=asked)

        grown = await growth(client, ask_twice())
        assert grown["prefix_cache_queries_total", "english"] == 2
        assert grown["prefix_cache_hits_total", "english"] == 1

    serve(body)


REFUSALS = [
    ("POST", "/generate", b"{", "", "invalid_body"),
    ("POST", "/generate", b'{"prompt": 3}', "", "invalid_value"),
    ("POST", "/generate", b'{"promt": ""}', "", "invalid_value"),
    ("POST", "/generate", b'{"prompt": "", "model": "none"}', "", "model_not_found"),
    ("POST", "/generate", b'{"prompt": "", "model": "sentiment-en"}', "sentiment-en", "wrong_task"),
    ("POST", "/score", b'{"text": "The cat sat.", "model": "english"}', "english", "text_too_long"),
    ("POST", "/score", b'{"text": ["a", "a", "a", "a"]}', "english", "too_many_texts"),
    ("POST", "/next", b'{"state": "none"}', "", "invalid_value"),
    ("POST", "/sessions/none/next", b"{}", "", "session_not_found"),
    ("POST", "/score", b" " * 3_000, "", "body_too_large"),
    ("GET", "/nowhere", b"", "", "not_found"),
    ("GET", "/generate", b"", "", "method_not_allowed"),
]


def test_every_refusal_is_counted_by_its_code(serve) -> None:
    async def body(client) -> None:
        for method, path, sent, model, reason in REFUSALS:
            answers = []

            async def ask(method=method, path=path, sent=sent, answers=answers) -> None:
                answers.append(await client.request(method, path, content=sent))

            grown = await growth(client, ask())
            assert answers[0].json()["error"]["code"] == reason
            assert {key: n for key, n in grown.items() if key[0].startswith("request_")} == {
                ("request_failure_total", model, reason): 1
            }

    limits = {"max_score_tokens": 2, "max_body_bytes": 2_000, "max_slots": 1, "max_queue": 2}
    serve(body, **limits)


def test_a_body_that_outgrows_the_limit_as_it_arrives_is_counted_too(serve) -> None:
    async def pieces():
        for _ in range(3):
            yield b" " * 1_000

    async def body(client) -> None:
        grown = await growth(client, client.post("/score", content=pieces()))
        assert grown["request_failure_total", "", "body_too_large"] == 1

    serve(body, max_body_bytes=2_000)


@pytest.mark.parametrize("stream", [True, False])
def test_a_deadline_is_a_failure_even_after_a_stream_has_begun(serve, stream) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "model": "english", "max_tokens": 4_000, "timeout": 0.001}
        asked |= {"ignore_eos": True, "stream": stream}
        grown = await growth(client, client.post("/generate", json=asked))
        assert grown["request_failure_total", "english", "deadline_passed"] == 1
        assert not [key for key in grown if key[0] == "request_success_total"]

    serve(body)


def test_a_full_queue_and_a_stopped_engine_are_failures_of_their_model(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "model": "english", "max_tokens": 10**6, "ignore_eos": True}
        waiting = [asyncio.create_task(client.post("/generate", json=asked)) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)  # the two get as far as the queue
        grown = await growth(client, client.post("/next", json={"model": "english"}))
        assert grown["request_failure_total", "english", "overloaded"] == 1
        found = await figures(client)
        assert found["num_requests_running", "english"] == 1
        assert found["num_requests_waiting", "english"] == 1
        assert found["state_cache_usage_ratio", "english"] == 1
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    serve(body, max_slots=1, max_queue=1, max_tokens=10**9)


def test_a_fault_that_nobody_foresaw_is_counted_as_internal(checkpoints) -> None:
    async def body() -> None:
        app = create_app(Settings(models=checkpoints))

        @app.get("/fault/{name}")
        async def fault(name: str) -> None:
            raise ValueError(name)

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://test")
        async with app.router.lifespan_context(app), client:
            grown = await growth(client, client.get("/fault/x"))
            assert grown["request_failure_total", "", "internal"] == 1

    asyncio.run(body())


def test_every_row_of_the_table_of_errors_begins_at_zero(serve) -> None:
    async def body(client) -> None:
        found = await figures(client)
        for code in CODES:
            assert found["request_failure_total", "", code] == 0
            assert found["request_failure_total", "tang", code] == 0

    assert {row.code for row in TABLE.values()} < set(CODES)
    serve(body)


def test_asking_how_the_service_is_counts_as_no_request_to_a_model(serve) -> None:
    async def body(client) -> None:
        async def ask() -> None:
            for path in ("/models", "/models/tang", "/load", "/version", "/health/ready"):
                assert (await client.get(path)).status_code == 200

        grown = await growth(client, ask())
        assert not [key for key in grown if key[0].startswith(("request", "e2e"))]

    serve(body)


def test_two_apps_in_one_process_count_for_themselves(checkpoints) -> None:
    async def body() -> None:
        found = []
        for num_asked in (2, 1):
            app = create_app(Settings(models=checkpoints))
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
            async with app.router.lifespan_context(app), client:
                for _ in range(num_asked):
                    await client.post("/next", json={"model": "english"})
                found.append(await figures(client))
        key = ("request_success_total", "english", "stop")
        assert [each[key] for each in found] == [2, 1]

    asyncio.run(body())


def test_the_load_has_the_agreed_shape_and_the_same_figures(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "model": "english", "max_tokens": 40, "ignore_eos": True}
        await client.post("/generate", json=asked)
        await client.post("/sentiment", json={"text": "A cat."})
        answer = (await client.get("/load")).json()
        assert answer.keys() == {"status", "uptime_seconds", "models"}
        assert answer["status"] == "ready"
        assert answer["uptime_seconds"] > 0
        models = {model.pop("model"): model for model in answer["models"]}
        rate = models["english"].pop("tokens_per_second")
        assert rate > 5
        assert models["english"] == {
            "num_running": 0,
            "num_waiting": 0,
            "max_slots": 5,
            "max_queue": 7,
            "prompt_tokens_total": 2,
            "generation_tokens_total": 40,
        }
        assert models["sentiment-en"]["prompt_tokens_total"] == 3
        assert models["sentiment-en"]["tokens_per_second"] > 0
        json.dumps(answer, allow_nan=False)

    serve(body, max_slots=5, max_queue=7)


def test_the_load_reports_when_the_service_is_not_ready(checkpoints) -> None:
    async def body() -> None:
        app = create_app(Settings(models=checkpoints))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        async with client:
            assert (await client.get("/load")).json()["status"] == "not_ready"

    asyncio.run(body())
