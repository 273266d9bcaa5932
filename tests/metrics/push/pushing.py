"""Usage records as the tests push them, and what was counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from metrics.models import UsageHour

URL = "/api/v1/usage"


def at(minutes_ago: int = 10) -> str:
    return (timezone.now() - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(**fields) -> dict:
    return {
        "timestamp": at(),
        "model": "gpt-4o-mini",
        "provider": "openai",
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }


def hours() -> dict[str, int | Decimal | None]:
    rows = UsageHour.objects.all()
    return {
        "requests": sum(row.requests or 0 for row in rows),
        "input_tokens": sum(row.input_tokens or 0 for row in rows),
        "estimated_cost": sum(row.estimated_cost or 0 for row in rows),
    }
