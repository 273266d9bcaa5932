"""Exports of GenAI metrics for `bin/bench push`: a point of `gen_ai.client.operation.duration` for each record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from time import time_ns

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks.push_shapes import Shape, rows_of

# The semantic conventions' buckets of this metric, in seconds.
BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
DELTA = 1
SECOND = 10**9


def metric_bodies(shape: Shape, count: int, seed: int) -> Iterator[bytes]:
    """Exports with delta temporality, as an SDK or a Collector sends them: `shape.batch` points of one request each."""
    rows = rows_of(shape, count, seed)
    at = time_ns() - 3600 * SECOND + seed * SECOND
    while some := list(islice(rows, shape.batch)):
        request = ExportMetricsServiceRequest()
        scope = request.resource_metrics.add()
        scope.resource.attributes.append(_pair("service.name", "bench"))
        metric = scope.scope_metrics.add().metrics.add(name="gen_ai.client.operation.duration", unit="s")
        metric.histogram.aggregation_temporality = DELTA  # type: ignore[assignment]
        for _, model, _, _, duration_ms in some:
            at += 1000
            seconds = duration_ms / 1000
            place = next((number for number, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
            point = metric.histogram.data_points.add(
                start_time_unix_nano=at - 1000, time_unix_nano=at, count=1, sum=seconds, explicit_bounds=BOUNDS
            )
            point.bucket_counts.extend(int(number == place) for number in range(len(BOUNDS) + 1))
            point.attributes.extend(
                _pair(name, value)
                for name, value in (
                    ("gen_ai.operation.name", "chat"),
                    ("gen_ai.provider.name", "vllm"),
                    ("gen_ai.request.model", model),
                )
            )
        yield request.SerializeToString()


def _pair(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))
