"""The stored last point of each counter stream: as JSON in `CounterState`, as `CounterPoint` in code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from metrics.connector import CounterPoint, CounterValue
from metrics.models import Backend, CounterState
from metrics.usage import ForeignHistogram, SeriesKey, SeriesKind


def last_points(backend: Backend) -> dict[str, CounterPoint]:
    """Return the last point of each stream of the backend, by stream."""
    points = (from_json(state) for state in backend.counter_states.values_list("state", flat=True))
    return {point.stream: point for point in points}


def keep_points(backend: Backend, points: Iterable[CounterPoint], before: dict[str, CounterPoint]) -> None:
    """Store the points that are later than the stored ones. Call it in the transaction that posts their differences."""
    CounterState.objects.bulk_create(
        [
            CounterState(backend=backend, stream_digest=digest(point.stream), state=to_json(point), sampled_at=point.at)
            for point in points
            if point.stream not in before or point.at > before[point.stream].at
        ],
        update_conflicts=True,
        unique_fields=["backend", "stream_digest"],
        update_fields=["state", "sampled_at"],
    )


def digest(stream: str) -> bytes:
    """Return the 16-byte key of a stream id."""
    return hashlib.blake2b(stream.encode(), digest_size=16).digest()


def to_json(point: CounterPoint) -> dict[str, Any]:
    """Return the point as JSON values."""
    key = point.key
    return {
        "stream": point.stream,
        "key": [
            key.provider,
            key.model,
            key.operation,
            key.service_tier,
            [list(label) for label in key.labels],
            key.kind,
        ],
        "measure": point.measure,
        "value": _value_to_json(point.value),
        "at": point.at.isoformat(),
        "started_at": point.started_at.isoformat() if point.started_at else None,
        "process": point.process,
        **({"is_gauge": True} if point.is_gauge else {}),
        **({"currency": point.currency} if point.currency else {}),
    }


def from_json(state: dict[str, Any]) -> CounterPoint:
    """Return the point that `to_json` was given."""
    provider, model, operation, service_tier, labels, kind = state["key"]
    return CounterPoint(
        stream=state["stream"],
        key=SeriesKey(
            provider=provider,
            model=model,
            operation=operation,
            service_tier=service_tier,
            labels=tuple((name, value) for name, value in labels),
            kind=SeriesKind(kind),
        ),
        measure=state["measure"],
        value=_value_from_json(state["value"]),
        at=datetime.fromisoformat(state["at"]),
        started_at=datetime.fromisoformat(state["started_at"]) if state["started_at"] else None,
        process=state["process"],
        is_gauge=state.get("is_gauge", False),
        currency=state.get("currency", ""),
    )


def _value_to_json(value: CounterValue) -> Any:
    if isinstance(value, ForeignHistogram):
        return {"bounds_ms": list(value.bounds_ms), "counts": list(value.counts)}
    return value if isinstance(value, int) else str(value)


def _value_from_json(value: Any) -> CounterValue:
    if isinstance(value, dict):
        return ForeignHistogram(bounds_ms=tuple(value["bounds_ms"]), counts=tuple(value["counts"]))
    return value if isinstance(value, int) else Decimal(value)
