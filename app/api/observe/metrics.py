"""`GET /metrics`: what engines and requests have counted, in Prometheus's format when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from refrain.app.api.http.reports import RequestCounts
from refrain.app.services.registry import LoadedLanguageModel, Registry
from refrain.inference.engine.counters import Histogram

MODEL = "model_name"


def make_router(registry: Registry, requests: RequestCounts) -> APIRouter:
    """Route to the metrics of an app, which a registry of its own gathers: several apps may live in one process."""
    router = APIRouter(tags=["health"])
    metrics = CollectorRegistry()
    metrics.register(MetricsCollector(registry, requests))
    ProcessCollector(registry=metrics)

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def tell_metrics(request: Request) -> Response:
        """Report what Prometheus scrapes: queues, tokens, latencies, batches, failures. `docs/watching.md` explains."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics), headers={"content-type": content_type})

    return router


class MetricsCollector(Collector):
    """Reads what engines and requests have counted."""

    def __init__(self, registry: Registry, requests: RequestCounts) -> None:
        self._models = registry.models
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics."""
        yield from self._loads()
        yield from self._tokens()
        yield from self._endings()
        yield from self._latencies()
        yield from self._steps()

    @property
    def _language_models(self) -> Mapping[str, LoadedLanguageModel]:
        models = self._models.items()
        return {name: m for name, m in models if isinstance(m, LoadedLanguageModel)}

    def _loads(self) -> Iterator[Metric]:
        loads = {name: model.driver.load for name, model in self._models.items()}
        yield _gauge(
            "num_requests_running",
            "Texts that hold a slot, or are in the batch that a classifier runs.",
            {name: load.num_running for name, load in loads.items()},
        )
        yield _gauge(
            "num_requests_waiting",
            "Texts that wait for a slot, or for a batch.",
            {name: load.num_waiting for name, load in loads.items()},
        )
        yield _gauge(
            "state_cache_usage_ratio",
            "Share of the slots, each one text's state, that are taken.",
            {
                name: 1 - len(model.driver.engine.free_slots) / model.driver.engine.num_slots
                for name, model in self._language_models.items()
            },
        )

    def _tokens(self) -> Iterator[Metric]:
        metrics = {name: model.driver.metrics for name, model in self._models.items()}
        caches = {name: m.driver.engine.prefix_cache for name, m in self._language_models.items()}
        yield _counter(
            "prompt_tokens",
            "Given tokens that were read; those that the prefix cache knew are not.",
            {name: each.num_prompt for name, each in metrics.items()},
        )
        yield _counter(
            "generation_tokens",
            "Tokens that were written.",
            {name: each.num_written for name, each in metrics.items()},
        )
        yield _counter(
            "prefix_cache_queries",
            "Texts whose beginning was looked up in the prefix cache.",
            {name: cache.num_queries for name, cache in caches.items()},
        )
        yield _counter(
            "prefix_cache_hits",
            "Texts whose beginning was found there.",
            {name: cache.num_hits for name, cache in caches.items()},
        )

    def _endings(self) -> Iterator[Metric]:
        successes = CounterMetricFamily(
            "refrain_request_success",
            "Requests to a model that were answered, or left by their caller.",
            labels=[MODEL, "finish_reason"],
        )
        for labels, value in self._requests.successes.items():
            successes.add_metric(labels, value)
        yield successes
        failures = CounterMetricFamily(
            "refrain_request_failure",
            "Requests that were refused or failed, by the error's code.",
            labels=[MODEL, "reason"],
        )
        for labels, value in self._requests.failures.items():
            failures.add_metric(labels, value)
        yield failures

    def _latencies(self) -> Iterator[Metric]:
        everyone = {name: model.driver.metrics for name, model in self._models.items()}
        writers = {name: model.driver.metrics for name, model in self._language_models.items()}
        yield _histogram(
            "time_to_first_token_seconds",
            "From a text's entering the queue to its first written token.",
            {name: each.first_token_seconds for name, each in writers.items()},
        )
        yield _histogram(
            "inter_token_latency_seconds",
            "From a written token to the next; those of one message have equal parts of its time.",
            {name: each.inter_token_seconds for name, each in writers.items()},
        )
        yield _histogram(
            "request_queue_time_seconds",
            "From a text's entering the queue to its first slot, or its batch.",
            {name: each.queue_seconds for name, each in everyone.items()},
        )
        yield _histogram(
            "e2e_request_latency_seconds",
            "From a request's beginning to the end of its answer, of those that were answered.",
            self._requests.latencies,
        )

    def _steps(self) -> Iterator[Metric]:
        everyone = {name: model.driver.metrics for name, model in self._models.items()}
        yield _histogram(
            "batch_size",
            "Texts that advanced together, of each step.",
            {name: each.batch_size for name, each in everyone.items()},
        )
        yield _histogram(
            "step_duration_seconds",
            "A step's share of its call's time, of each step; a classifier's is a batch.",
            {name: each.step_seconds for name, each in everyone.items()},
        )


def _gauge(name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"refrain_{name}", meaning, labels=[MODEL])
    for model, value in values.items():
        family.add_metric([model], value)
    return family


def _counter(name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"refrain_{name}", meaning, labels=[MODEL])
    for model, value in values.items():
        family.add_metric([model], value)
    return family


def _histogram(name: str, meaning: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"refrain_{name}", meaning, labels=[MODEL])
    for model, histogram in histograms.items():
        counts, total = histogram.read()
        ends: Iterable[str] = (*map(repr, map(float, histogram.bounds)), "+Inf")
        family.add_metric([model], list(zip(ends, accumulate(counts), strict=True)), total)
    return family
