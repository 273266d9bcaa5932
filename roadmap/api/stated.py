"""Percentiles that sources state themselves, in the dashboard's answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from metrics.stated import StatedLatency, StatedValue


class StatedValueSerializer(serializers.Serializer[Any]):
    """A percentile that a source stated of one period [start, end)."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    value_ms = serializers.DecimalField(max_digits=None, decimal_places=None)
    count = serializers.IntegerField(allow_null=True, help_text="Requests it rests on; null where not said.")


class StatedPercentileSerializer(serializers.Serializer[Any]):
    """A percentile of one series as its source states it. Values of several periods or series must not be merged."""

    backend = serializers.CharField()
    stated_by = serializers.CharField()
    model = serializers.CharField()
    operation = serializers.CharField()
    service_tier = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    measure = serializers.CharField()
    percent = serializers.DecimalField(max_digits=None, decimal_places=None)
    latest = StatedValueSerializer()
    worst = StatedValueSerializer()
    periods = serializers.IntegerField(help_text="How many were stated in the window.")
    values = StatedValueSerializer(
        many=True, help_text="Every value up to 6 days; in longer windows the worst of each day, week or month."
    )


def stated_percentile(one: StatedLatency) -> dict[str, Any]:
    """One percentile of one series as JSON has it."""
    return {
        "backend": one.backend_slug,
        "stated_by": one.backend_name,
        "model": one.model,
        "operation": one.operation,
        "service_tier": one.service_tier,
        "labels": dict(one.labels),
        "measure": one.measure,
        "percent": _text(one.percent),
        "latest": _stated_value(one.latest),
        "worst": _stated_value(one.worst),
        "periods": one.periods,
        "values": [_stated_value(value) for _, value in one.values],
    }


def _stated_value(value: StatedValue) -> dict[str, Any]:
    return {
        "start": value.start,
        "end": value.end,
        "value_ms": _text(value.value_ms),
        "count": value.count,
    }


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}"
