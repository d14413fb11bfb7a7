"""Takes what a caller may have written out of spans, whoever put it there."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util import types

TEXTS = frozenset(
    (
        *("http.url", "http.target", "url.full", "url.path", "url.query"),
        *("http.request.method_original", "exception.message", "exception.stacktrace"),
    )
)
"""Attributes that quote a path, a query or an exception's message; `http.route` stays."""


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
    """Copy a span, its status without a description and its attributes without those that quote."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_known(span.attributes),
        events=[Event(e.name, _known(e.attributes), e.timestamp) for e in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _known(attributes: types.Attributes) -> types.Attributes:
    return {name: value for name, value in (attributes or {}).items() if name not in TEXTS}
