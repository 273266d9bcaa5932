"""Usage to read: series of 1,000 requests a day with tokens, cost and latency, written by the ledger's bulk path."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

REQUESTS_A_DAY = 1_000
# The day's requests fall into these UTC hours.
HOURS = (8, 11, 14, 17)


def fill(*, workload_id: int, series: int, start_on: date, end_on: date, name: str = "bench") -> int:
    """Post `series` series over the days [start_on, end_on), on four backends; the number of hours written."""
    from metrics import days, ledger
    from metrics.identity import SeriesIdentity, series_ids
    from metrics.models import Backend, Receipt
    from metrics.usage import FeedKind, SeriesKey

    backends = [
        Backend.objects.create(
            slug=f"{name}-{number}",
            name=f"Bench {name} {number}",
            connector="push_only",
            provider=("openai", "anthropic", "mistral", "vllm")[number],
            measured_at="gateway",
        )
        for number in range(min(4, series))
    ]
    identities = [
        SeriesIdentity(
            SeriesKey(provider=backends[number % len(backends)].provider, model=f"model-{number}"),
            backends[number % len(backends)].pk,
            is_pushed=True,
            workload_id=workload_id,
        )
        for number in range(series)
    ]
    ids = series_ids(identities)
    written = 0
    for backend in backends:
        mine = [ids[identity] for identity in identities if identity.backend_id == backend.pk]
        receipt = Receipt(kind=FeedKind.PUSH, backend=backend, note="benchmark")
        ledger.post_many(receipt, ledger.feed(FeedKind.PUSH, backend), _cells(mine, start_on, end_on))
        written += len(mine) * (end_on - start_on).days * len(HOURS)
    days.rebuild()
    return written


def _cells(series_ids: list[int], start_on: date, end_on: date) -> Iterator:
    from metrics.ledger import PostedCell

    requests = REQUESTS_A_DAY // len(HOURS)
    shapes = [_window(requests, middle) for middle in range(230, 260)]
    for offset in range((end_on - start_on).days):
        day = start_on + timedelta(days=offset)
        for hour in HOURS:
            at = datetime.combine(day, time(hour), tzinfo=UTC)
            for number, series_id in enumerate(series_ids):
                sums = {
                    "requests": requests,
                    "errors": (offset + number) % 4,
                    "input_tokens": requests * 900,
                    "cached_input_tokens": requests * 200,
                    "output_tokens": requests * (150 + offset % 50),
                    "estimated_cost": Decimal("0.35") + Decimal(number) / 1000,
                    "duration_count": requests,
                    "duration_sum_ms": Decimal(requests * 1200),
                }
                histogram = shapes[(offset + number) % len(shapes)]
                yield PostedCell(series_id, at, sums, {"duration": histogram}, "USD")


def _window(count: int, middle: int) -> list[int]:
    """A bell of 50 buckets around `middle` that holds about `count` latencies, as metrics.histogram keeps them."""
    weights = [math.exp(-(((place - 25) / 9) ** 2)) for place in range(50)]
    return [middle - 25, *(max(1, round(count * weight / sum(weights))) for weight in weights)]
