"""GenAI metrics for tests, made by hand as OTLP's messages."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.metrics.spans import pairs

SECOND = 10**9
NOW = time.time_ns() - 300 * SECOND
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


class Export:
    """Builds one request; `resource` and `scope` hold for all its metrics."""

    def __init__(self, *, resource: dict[str, Any] | None = None, scope: str = "lib", is_delta: bool = False) -> None:
        self.request = ExportMetricsServiceRequest()
        group = self.request.resource_metrics.add()
        group.resource.attributes.extend(pairs(resource or {"service.name": "claims-bot"}))
        self.scope = group.scope_metrics.add()
        self.scope.scope.name = scope
        self.temporality: Any = 1 if is_delta else 2

    def tokens(
        self, total: float, kind: str = "input", *, at: int = NOW, start: int | None = None, **more: Any
    ) -> Export:
        metric = self.scope.metrics.add(name="gen_ai.client.token.usage", unit="{token}")
        metric.histogram.aggregation_temporality = self.temporality
        point = metric.histogram.data_points.add(
            start_time_unix_nano=NOW - 60 * SECOND if start is None else start, time_unix_nano=at, count=1, sum=total
        )
        point.attributes.extend(pairs({**CHAT, "gen_ai.token.type": kind, **more}))
        return self

    def counter(self, name: str, total: int, *, at: int = NOW) -> Export:
        metric = self.scope.metrics.add(name=name, unit="{token}")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = self.temporality, True
        point = metric.sum.data_points.add(start_time_unix_nano=NOW - 60 * SECOND, time_unix_nano=at, as_int=total)
        point.attributes.extend(pairs(CHAT))
        return self

    def durations(
        self,
        counts: list[int],
        total: float,
        *,
        bounds: tuple[float, ...] = (0.5, 1.0, 2.0),
        at: int = NOW,
        name: str = "gen_ai.client.operation.duration",
        **more: Any,
    ) -> Export:
        metric = self.scope.metrics.add(name=name, unit="s")
        metric.histogram.aggregation_temporality = self.temporality
        point = metric.histogram.data_points.add(
            start_time_unix_nano=NOW - 60 * SECOND,
            time_unix_nano=at,
            count=sum(counts),
            sum=total,
            explicit_bounds=bounds,
            bucket_counts=counts,
        )
        point.attributes.extend(pairs({**CHAT, **more}))
        return self

    def exponential(self, scale: int, offset: int, counts: list[int], total: float, *, at: int = NOW) -> Export:
        metric = self.scope.metrics.add(name="gen_ai.client.operation.duration", unit="s")
        metric.exponential_histogram.aggregation_temporality = self.temporality
        point = metric.exponential_histogram.data_points.add(
            start_time_unix_nano=NOW - 60 * SECOND, time_unix_nano=at, count=sum(counts), sum=total, scale=scale
        )
        point.positive.offset = offset
        point.positive.bucket_counts.extend(counts)
        point.attributes.extend(pairs(CHAT))
        return self

    def body(self) -> bytes:
        return self.request.SerializeToString()
