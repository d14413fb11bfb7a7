"""Removes from spans what a caller may have written, whoever recorded it."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status
from opentelemetry.util import types

KNOWN = frozenset(
    (
        *("http.method", "http.request.method", "http.route", "http.scheme", "url.scheme"),
        *("http.status_code", "http.response.status_code", "error.type", "exception.type"),
        *("http.flavor", "network.protocol.version"),
        *("gen_ai.operation.name", "gen_ai.provider.name"),
        *("gen_ai.request.model", "gen_ai.response.model"),
        *("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        *("gen_ai.response.finish_reasons", "gen_ai.response.time_to_first_chunk"),
        *("refrain.queue_time", "refrain.request_id"),
    )
)
"""Attributes that hold numbers and names of ours; any other may quote a header, an address, a path or a message."""


class TextlessExporter(SpanExporter):
    """Hands spans without callers' text to another exporter."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([without_text(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def without_text(span: ReadableSpan) -> ReadableSpan:
    """Copy a span with its known attributes alone, without its status's description, links and `tracestate`."""
    return ReadableSpan(
        name=span.name,
        context=_stateless(span.context),
        parent=_stateless(span.parent),
        resource=span.resource,
        attributes=_known(span.attributes),
        events=[Event(e.name, _known(e.attributes), e.timestamp) for e in span.events],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _stateless(context: SpanContext | None) -> SpanContext | None:
    """Take off the `tracestate` that a caller sent."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def _known(attributes: types.Attributes) -> types.Attributes:
    return {name: value for name, value in (attributes or {}).items() if name in KNOWN}
