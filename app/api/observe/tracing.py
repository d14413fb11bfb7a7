"""OpenTelemetry traces: a span a request by FastAPI's usual instrumentation, with what it asked and what it cost.

They are off unless an endpoint is set, and then need an extra. No text of a caller leaves in them: only attributes that
are known to hold none are exported. The standard `OTEL_*` variables hold.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fastapi import FastAPI

from refrain.app.api.http.edge import Finished
from refrain.models.errors import ConfigError, how_to_install
from refrain.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

OPERATIONS = {
    "/generate": "text_completion",
    "/v1/completions": "text_completion",
    "/embed": "embeddings",
    "/v1/embeddings": "embeddings",
}
"""Routes whose operation has a name in the conventions for generative models."""
UNTRACED = r"/health/,/metrics$,/load$"
"""Paths that machines ask every few seconds, unless `OTEL_PYTHON_FASTAPI_EXCLUDED_URLS` names others."""


class Tracing:
    """The traces of one app, by a provider of its own: several apps may live in one process.

    Parameters
    ----------
    exporter
        Where spans go.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from refrain.app.api.observe.textless_exporter import TextlessExporter

        self._provider = TracerProvider(
            resource=Resource.create(_resource_attributes()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(TextlessExporter(exporter)))

    def instrument(self, app: FastAPI) -> None:
        """Trace every request of an app."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        is_configured = any(
            name in os.environ
            for name in ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
        )
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._provider,
            excluded_urls=None if is_configured else UNTRACED,
            exclude_spans=["receive", "send"],
        )

    def flush(self) -> None:
        """Export what is finished."""
        self._provider.force_flush()

    async def stop(self) -> None:
        """Export what is left, and end."""
        await asyncio.to_thread(self._provider.shutdown)


def make_tracing(endpoint: str) -> Tracing | None:
    """Return what sends traces to a collector, by OTLP over HTTP; None for no endpoint.

    Raises
    ------
    ConfigError
        If the extra is not installed.
    """
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation import fastapi  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--otlp-endpoint needs the package {error.name}: {how_to_install('tracing')}; or leave it empty"
        ) from error
    return Tracing(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))


def describe_span(finished: Finished) -> None:
    """Record in the request's span what it asked and what it cost, by the conventions' names where there are any."""
    from opentelemetry import trace

    span, stats = trace.get_current_span(), finished.stats
    span.set_attribute("refrain.request_id", finished.request_id)
    if finished.error:
        span.set_attribute("error.type", finished.error)
    if finished.ending == "failed" and finished.status == 200:  # a stream that broke off
        span.set_status(trace.StatusCode.ERROR)
    if not stats.models:
        return
    model = ",".join(stats.models)
    span.set_attributes(
        {
            "gen_ai.provider.name": "refrain",
            "gen_ai.request.model": model,
            "gen_ai.response.model": model,
            "gen_ai.usage.input_tokens": stats.num_prompt,
            "gen_ai.usage.output_tokens": stats.num_written,
            "refrain.queue_time": stats.queue_seconds,
        }
    )
    if finished.route in OPERATIONS:
        span.set_attribute("gen_ai.operation.name", OPERATIONS[finished.route])
    if finished.ending != "failed":
        span.set_attribute("gen_ai.response.finish_reasons", [finished.finish_reason])
    if stats.first_token_seconds is not None:
        span.set_attribute("gen_ai.response.time_to_first_chunk", stats.first_token_seconds)


def _resource_attributes() -> dict[str, str]:
    """Name this service, unless the environment does."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    attributes = {"service.version": __version__}
    if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in given:
        attributes["service.name"] = "refrain"
    return attributes
