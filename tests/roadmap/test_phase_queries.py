"""The phase page at its dearest: everything that costs a reading of its own at once, still in fifteen queries."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from metrics import identity, ledger
from metrics.counting import recount
from metrics.ledger import PostedCell
from metrics.models import Backend, ExchangeRate, RateCard, Receipt
from metrics.percentiles import PostedPercentile, post_percentiles
from metrics.usage import FeedKind, SeriesKey
from metrics.windows import Window
from roadmap.models import CostEntry, Kpi, Phase

D = Decimal
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MOST_QUERIES = 15
BUCKETS = [240, 5]


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


def post(phase, source, model, days_back, **sums):
    """An hour at noon of each of these days, in US dollars."""
    wanted = identity.SeriesIdentity(
        SeriesKey(provider=source.provider, model=model),
        source.pk,
        is_pushed=True,
        workload_id=phase.roadmap.workload_id,
        measured_at=source.measured_at,
    )
    series_id = identity.series_ids([wanted])[wanted]
    today = timezone.localdate()
    cells = [
        PostedCell(
            series_id,
            datetime.combine(today - back * DAY, time(12), tzinfo=UTC),
            {"requests": 5, "input_tokens": 6, "output_tokens": 5, "estimated_cost": D(1), **sums},
            {"duration": BUCKETS, "time_to_first_token": BUCKETS},
            "USD",
        )
        for back in days_back
    ]
    ledger.post(Receipt(kind=FeedKind.PUSH, backend=source), ledger.feed(FeedKind.PUSH, source), cells)
    return series_id


def state_percentiles(source, series_ids):
    """A p95 of each series of an hour five days ago, as the source states it."""
    at = datetime.combine(timezone.localdate() - 5 * DAY, time(12), tzinfo=UTC)
    post_percentiles(
        receipt=Receipt(kind=FeedKind.USAGE, backend=source),
        feed=ledger.feed(FeedKind.PERCENTILE, source),
        window=Window(at, at + HOUR),
        stated=[PostedPercentile(pk, at, at + HOUR, "duration", D(95), D(1250)) for pk in series_ids],
        as_of=timezone.now(),
    )


@pytest.fixture
def dearest(poc, alice, today) -> Phase:
    """A phase of 14 months of the demo: costs in pounds, usage in dollars, four linked sources, GPUs, percentiles."""
    start_on = today - 430 * DAY
    Phase.objects.filter(pk=poc.pk).update(started_on=start_on, planned_start_on=start_on, budget_currency="CHF")
    poc.roadmap.workload.is_demo = True
    poc.roadmap.workload.save()
    for currency in ("USD", "GBP", "CHF"):
        ExchangeRate.objects.bulk_create(
            ExchangeRate(currency=currency, on=start_on + number * DAY, per_euro=D("1.1"), source="t")
            for number in range(431)
        )
    for number, currency in enumerate(("GBP", "USD", "EUR")):
        CostEntry.objects.create(
            roadmap=poc.roadmap,
            name=f"Labels {number}",
            category="data",
            amount=100,
            currency=currency,
            start_on=start_on + number * DAY,
            end_on=start_on + (number + 90) * DAY,
        )
    measures = ("time_to_first_token_p95", "duration_p95", "cost_per_million_tokens", "tokens_per_gpu_hour")
    for place, (measure, window) in enumerate(product(measures, (28, None, 7, 90))):
        Kpi.objects.create(
            phase=poc, name=f"K{place}", direction="lower", source="computed", measure=measure, window_days=window
        )
    backends = {}
    for slug, provider, place in (("edge", "p", "gateway"), ("gw", "p", "gateway"), ("gpu", "vllm", "server")):
        backends[slug] = Backend.objects.create(
            slug=slug, name=slug.upper(), connector="push_only", provider=provider, measured_at=place, is_demo=True
        )
    for slug, behind in (("gw", "edge"), ("gpu", "gw")):
        Backend.objects.filter(pk=backends[slug].pk).update(behind=backends[behind], behind_from_on=start_on)
    RateCard.objects.create(
        backend=backends["gpu"],
        kind="rented",
        units=1,
        currency="USD",
        rate_per_unit_hour=1,
        valid_from_on=start_on,
    )
    days_back = (1, 2, 5, 40, 100, 300, 420)
    for slug, source in backends.items():
        gpu = {"gpu_busy_seconds": D(1800), "gpu_held_seconds": D(3600)} if slug == "gpu" else {}
        state_percentiles(source, [post(poc, source, model, days_back, **gpu) for model in ("llama", "qwen")])
    recount([backend.pk for backend in backends.values()])
    poc.refresh_from_db()
    return poc


SOURCES = ("", "backend=edge", "model=llama", "backend=edge&model=llama")


def test_the_dearest_page_takes_fifteen_queries(dearest, alice, sign_in, today):
    """Whole and narrowed to the last 430, 200, 60 or 9 days, to a backend and to a model."""
    client = sign_in(alice)
    client.get(dearest.get_absolute_url())
    taken = {}
    for back, source in product((None, 430, 200, 60, 9), SOURCES):
        days = "" if back is None else f"from={today - back * DAY}&to={today - 2 * DAY}&"
        with CaptureQueriesContext(connection) as asked:
            text = client.get(f"{dearest.get_absolute_url()}?{days}{source}").content.decode()
        assert "The same traffic, seen twice" in text
        assert "p95 as stated by" in text
        taken[days + source] = len(asked)
    assert {query: count for query, count in taken.items() if count > MOST_QUERIES} == {}
    assert len(taken) == 20
