"""Spans for tests: as packages recorded them (tests/data/otlp), and made by hand."""

from __future__ import annotations

import base64
import itertools
import json
import time
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

RECORDED = Path(__file__).parents[1] / "data" / "otlp"
MS = 1_000_000
SECOND = 1000 * MS
_numbers = itertools.count(1)


def recorded(name: str, *, ended_ago_s: float | None = 60) -> ExportTraceServiceRequest:
    """What an instrumentation exported, moved so that its last span ended so many seconds ago (None: as it was)."""
    document = json.loads((RECORDED / f"{name}.json").read_text())
    for span in _spans_of(document):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    request = ParseDict(document, ExportTraceServiceRequest())
    if ended_ago_s is not None:
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        later = time.time_ns() - int(ended_ago_s * SECOND) - max(span.end_time_unix_nano for span in spans)
        for span in spans:
            span.start_time_unix_nano += later
            span.end_time_unix_nano += later
            for event in span.events:
                event.time_unix_nano += later
    return request


def _spans_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for group in document["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]


def any_value(value: object) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
        case None:
            return AnyValue()
        case _:
            return AnyValue(string_value=str(value))


def pairs(values: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in values.items()]


def add_span(
    request: ExportTraceServiceRequest,
    attributes: dict[str, object],
    *,
    name: str = "chat m",
    took_ms: float = 500,
    ended_ago_s: float = 60,
    failed: bool = False,
    events: dict[str, float] | None = None,
    trace_id: bytes = b"t" * 16,
    span_id: bytes | None = None,
    parent: bytes = b"",
    start: int | None = None,
    end: int | None = None,
) -> bytes:
    """Add a span to the request's last resource (a new one without any); returns its id. `events`: name to ms after."""
    if not request.resource_spans:
        request.resource_spans.add().scope_spans.add()
    if end is None:
        end = time.time_ns() - int(ended_ago_s * SECOND)
    if start is None:
        start = end - int(took_ms * MS)
    span_id = next(_numbers).to_bytes(8, "big") if span_id is None else span_id
    span = (
        request.resource_spans[-1]
        .scope_spans[-1]
        .spans.add(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent,
            name=name,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            attributes=pairs(attributes),
        )
    )
    if failed:
        span.status.code = 2
        span.status.message = "went wrong"
    for event, after_ms in (events or {}).items():
        span.events.add(name=event, time_unix_nano=start + int(after_ms * MS))
    return span_id


def request_of(*spans: dict[str, object], resource: dict[str, object] | None = None, **fields: Any):
    """A request with one span for each set of attributes."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    group.scope_spans.add()
    for attributes in spans:
        add_span(request, attributes, **fields)
    return request
