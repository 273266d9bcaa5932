"""Pulling: once is enough, a restatement shows, a race counts once, a failure says what to do."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from metrics import backfill
from metrics import pull as pulling
from metrics.errors import ConnectorError
from metrics.models import Backend, LedgerEntry, Pull, Receipt, UsageHour
from metrics.secrets import seal
from tests.doubles.source_server import Reply, source_server
from tests.metrics.pulling import HOUR, NOW, SECRET, Provider, at, backend_of, registered, vllm_text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        yield told


@pytest.fixture
def source(provider) -> Backend:
    return backend_of("double", parameters={"address": "https://example.org"}, secrets=seal({"key": SECRET}))


@pytest.fixture
def server():
    with source_server() as running:
        yield running


def _counter_backend(server) -> Backend:
    return backend_of("metrics_endpoint", provider="vllm", parameters={"addresses": [server.url], "preset": "vllm"})


def _say(server, **totals) -> None:
    server.play = lambda asked: Reply(vllm_text(**totals))


def _total(name: str) -> int:
    return sum(getattr(hour, name) or 0 for hour in UsageHour.objects.all())


# --- Statements


def test_pulling_twice_adds_nothing(provider, source):
    provider.usage(HOUR, requests=3, input_tokens=100, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW))
    entries = LedgerEntry.objects.count()
    pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=5)))
    assert (_total("requests"), _total("input_tokens")) == (3, 100)
    assert LedgerEntry.objects.count() == entries
    assert [log.outcome for log in source.pulls.all()] == [Pull.Outcome.NOTHING_NEW, Pull.Outcome.OK]


def test_a_restatement_is_a_visible_difference(provider, source):
    provider.usage(HOUR, requests=3, input_tokens=100, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW))
    provider.cells.clear()
    provider.usage(HOUR, requests=4, input_tokens=90, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW + timedelta(hours=1)))
    assert (_total("requests"), _total("input_tokens")) == (4, 90)
    last = LedgerEntry.objects.filter(feed__kind="usage").order_by("-pk").first()
    assert (last.requests, last.input_tokens) == (1, -10)


def test_an_hour_that_is_no_longer_named_becomes_zero(provider, source):
    provider.usage(HOUR, requests=3, input_tokens=100, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW))
    provider.cells.clear()
    pulling.pull(source.pk, clock=at(NOW + timedelta(hours=1)))
    assert _total("requests") == 0


def test_it_resumes_where_it_stopped(provider, source):
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.data_until == NOW.replace(minute=0)
    pulling.pull(source.pk, clock=at(NOW + timedelta(days=10)))
    # Ten days later it begins 72 hours before what it has, and does not leave a hole.
    assert provider.windows[-1].start <= NOW - timedelta(hours=72)
    assert provider.windows[-1].end == (NOW + timedelta(days=10)).replace(minute=0)


def test_what_was_read_before_an_error_is_not_counted(provider, source):
    provider.usage(HOUR, requests=3)
    provider.error = ConnectorError("The answer broke off.", permanent=False)
    assert pulling.pull(source.pk, clock=at(NOW)) is None
    assert UsageHour.objects.count() == 0
    assert Receipt.objects.count() == 0


def test_tokens_of_an_api_are_estimated_once(provider, source):
    provider.usage(HOUR, requests=1, input_tokens=1_000_000, output_tokens=0)
    pulling.pull(source.pk, clock=at(NOW))
    estimate = UsageHour.objects.get(currency="USD").estimated_cost
    # gpt-4o-mini: 0.15 USD per million input tokens.
    assert estimate == Decimal("0.15")
    pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=5)))
    assert UsageHour.objects.get(currency="USD").estimated_cost == Decimal("0.15")


def test_a_price_that_changed_does_not_touch_what_was_estimated(provider, source, monkeypatch):
    provider.usage(HOUR, requests=1, input_tokens=1_000_000, output_tokens=0)
    pulling.pull(source.pk, clock=at(NOW))
    monkeypatch.setattr("metrics.estimating.pricing.estimate", lambda *args, **kwargs: pytest.fail("priced again"))
    pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=5)))
    assert UsageHour.objects.get(currency="USD").estimated_cost == Decimal("0.15")


def test_a_statement_counts_once_it_has_settled(provider, source):
    day = HOUR - timedelta(days=2)
    provider.usage(day, requests=1, input_tokens=750, output_tokens=0)
    provider.usage(day + timedelta(hours=1), requests=1, input_tokens=250, output_tokens=0)
    provider.cost(day, "10", model="gpt-4o-mini")
    provider.cost(HOUR - timedelta(days=1), "7", model="gpt-4o-mini")
    pulling.pull(source.pk, clock=at(NOW))
    billed = {hour.hour: hour.billed_cost for hour in UsageHour.objects.exclude(billed_cost=None)}
    # The day before yesterday has settled and is spread by estimate, 3 to 1; yesterday has not, so it stays unknown.
    assert billed == {day: Decimal("7.5"), day + timedelta(hours=1): Decimal("2.5")}


def test_what_covers_no_usage_is_other_charges_and_a_credit_stands_apart(provider, source):
    day = HOUR - timedelta(days=2)
    provider.cost(day, "10", model="unheard-of")
    provider.cost(day, "-4", category="Credit")
    provider.cost(day, "2", category="Tax")
    pulling.pull(source.pk, clock=at(NOW))
    rows = {
        hour.series.labels.get("charge_category", "Usage"): (hour.billed_cost, hour.hour.hour)
        for hour in UsageHour.objects.select_related("series")
    }
    assert rows == {"Usage": (Decimal(10), 12), "Credit": (Decimal(-4), 12)}


def test_reading_back_goes_step_by_step_and_ends(provider, source):
    start = NOW.replace(hour=0, minute=0) - timedelta(days=16)
    provider.usage(start + timedelta(hours=5), requests=9)
    source.backfill_from, source.backfill_cursor = start, NOW.replace(minute=0)
    source.save()
    steps = 1
    while backfill.step(source.pk, clock=at(NOW)):
        steps += 1
    source.refresh_from_db()
    assert steps == 3
    assert source.backfill_cursor is None
    assert _total("requests") == 9
    assert [(w.end - w.start).days for w in provider.windows] == [7, 7, 2]


def test_reading_back_brings_every_days_statement_and_withdraws_none(provider, source):
    """Steps of a week from 10:00 on: the days on which one step ends and the next begins are billed as the others."""
    first = NOW.replace(hour=0, minute=0) - timedelta(days=20)
    days = [first + timedelta(days=count) for count in range(19)]
    for day in days:
        provider.usage(day + timedelta(hours=9), requests=1, input_tokens=100, output_tokens=1)
        provider.usage(day + timedelta(hours=20), requests=1, input_tokens=100, output_tokens=1)
        provider.cost(day, "1")
    pulling.pull(source.pk, clock=at(NOW))
    for _ in range(2):
        source.backfill_from, source.backfill_cursor = first, NOW.replace(minute=0)
        source.save()
        while backfill.step(source.pk, clock=at(NOW)):
            pass
        billed = UsageHour.objects.exclude(billed_cost=None)
        assert {row.hour: row.billed_cost for row in billed} == {
            day + timedelta(hours=hour): Decimal("0.5") for day in days for hour in (9, 20)
        }


def test_cancelled_reading_back_stays_cancelled(provider, source, monkeypatch):
    source.backfill_from, source.backfill_cursor = NOW - timedelta(days=30), NOW.replace(minute=0)
    source.save()
    original = pulling.fetch_and_post

    def cancel_meanwhile(*args, **kwargs):
        Backend.objects.update(backfill_from=None, backfill_cursor=None)
        return original(*args, **kwargs)

    monkeypatch.setattr(pulling, "fetch_and_post", cancel_meanwhile)
    assert not backfill.step(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.backfill_cursor is None


# --- Counters


def test_counters_count_from_the_first_reading_on(server):
    backend = _counter_backend(server)
    _say(server, requests=1000, tokens_in=90_000, tokens_out=50_000)
    first = pulling.pull(backend.pk)
    assert first.again_in_seconds == pulling.SECOND_READING_SECONDS
    assert UsageHour.objects.count() == 0
    _say(server, requests=1003, tokens_in=90_300, tokens_out=50_060)
    pulling.pull(backend.pk)
    assert (_total("requests"), _total("input_tokens"), _total("output_tokens")) == (3, 300, 60)


def test_a_restart_counts_from_zero_and_says_so(server):
    backend = _counter_backend(server)
    _say(server, requests=1000, tokens_in=90_000, tokens_out=50_000)
    pulling.pull(backend.pk)
    _say(server, requests=4, tokens_in=40, tokens_out=8, started_at=1_790_003_600)
    pulling.pull(backend.pk)
    assert (_total("requests"), _total("input_tokens"), _total("output_tokens")) == (4, 40, 8)
    assert "restarted" in backend.pulls.first().message


def test_an_idle_server_is_known_to_be_idle_and_makes_no_heap_of_entries(server):
    backend = _counter_backend(server)
    _say(server, requests=1000, tokens_in=90_000, tokens_out=50_000)
    for _ in range(4):
        pulling.pull(backend.pk)
    assert {hour.requests for hour in UsageHour.objects.all()} == {0}
    assert LedgerEntry.objects.count() <= 2  # one; two where the hour turns meanwhile


@pytest.mark.django_db(transaction=True)
def test_two_pulls_at_once_count_once(server):
    backend = _counter_backend(server)
    _say(server, requests=1000, tokens_in=90_000, tokens_out=50_000)
    pulling.pull(backend.pk)
    _say(server, requests=1010, tokens_in=91_000, tokens_out=50_100)
    barrier = threading.Barrier(4)

    def race() -> None:
        try:
            barrier.wait()
            pulling.pull(backend.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (_total("requests"), _total("input_tokens"), _total("output_tokens")) == (10, 1000, 100)


# --- Failures


def test_a_permanent_failure_waits_for_a_person(server, source, provider):
    provider.error = ConnectorError("It does not accept the key.", permanent=True, hint="Make a new key.")
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.is_problem_permanent
    assert source.problem == "It does not accept the key. Make a new key."
    assert source.next_pull_at == NOW + pulling.PERMANENT_RETRY
    assert source.pulls.get().outcome == Pull.Outcome.PERMANENT


def test_a_transient_failure_is_tried_again_later_and_later(source, provider):
    provider.error = ConnectorError("It did not answer in time.", permanent=False)
    waits = []
    for _ in range(4):
        pulling.pull(source.pk, clock=at(NOW))
        source.refresh_from_db()
        waits.append(source.next_pull_at - NOW)
    assert waits == sorted(waits)
    assert timedelta(seconds=50) < waits[0] < timedelta(seconds=70)
    assert waits[3] > timedelta(minutes=7)
    provider.error = None
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert (source.failures_in_a_row, source.problem) == (0, "")


def test_it_waits_as_long_as_the_source_asks(source, provider):
    provider.error = ConnectorError("Slow down.", permanent=False, retry_after_seconds=1800)
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.next_pull_at == NOW + timedelta(seconds=1800)


def test_a_secret_reaches_neither_pull_log_nor_log_nor_page(source, provider, caplog):
    provider.error = RuntimeError(f"unexpected answer to key {SECRET}")
    with caplog.at_level(logging.DEBUG):
        pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert SECRET not in caplog.text
    assert SECRET not in source.problem
    assert SECRET not in source.pulls.get().message
    assert SECRET.encode() not in bytes(source.secrets)


def test_a_key_that_is_gone_says_what_to_do(source, provider, settings):
    settings.ENCRYPTION_KEYS = ["ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="]
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.is_problem_permanent
    assert "PHASELINE_ENCRYPTION_KEYS" in source.problem


def test_a_private_address_outside_the_allow_list_names_the_line_to_add(server, settings):
    settings.OUTBOUND_ALLOW = []
    backend = _counter_backend(server)
    pulling.pull(backend.pk)
    backend.refresh_from_db()
    assert "OUTBOUND_ALLOW=127.0.0.1/32" in backend.problem


def test_our_own_broker_is_never_called(settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:6399/0"
    backend = backend_of("metrics_endpoint", parameters={"addresses": ["http://127.0.0.1:6399"], "preset": "vllm"})
    pulling.pull(backend.pk)
    backend.refresh_from_db()
    assert "broker" in backend.problem


def test_a_pull_that_was_killed_is_told_from_one_at_work(source, provider):
    stuck = Pull.objects.create(backend=source)
    Pull.objects.update(started_at=NOW - timedelta(hours=1))
    pulling.pull(source.pk, clock=at(NOW))
    stuck.refresh_from_db()
    assert stuck.outcome == Pull.Outcome.TRANSIENT


# --- Hours that the source has dropped


def test_hours_that_the_source_has_dropped_keep_what_was_read_of_them(provider, source):
    """Unlike an hour without usage, which counts as taken back."""
    before = HOUR - timedelta(hours=5)
    provider.usage(before, requests=3, input_tokens=100, output_tokens=20)
    provider.usage(HOUR, requests=2, input_tokens=10, output_tokens=2)
    pulling.pull(source.pk, clock=at(NOW))
    provider.cells.clear()
    provider.dropped_until = before + timedelta(hours=1)
    pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=5)))
    assert {hour.hour: hour.requests for hour in UsageHour.objects.exclude(requests=None)} == {before: 3, HOUR: 0}
    assert UsageHour.objects.get(hour=before, currency="USD").estimated_cost > 0
    assert "keeps nothing of 77 of these hours" in source.pulls.first().message


def test_half_an_hour_that_is_left_fills_only_what_was_not_known(provider, source):
    first, second = HOUR - timedelta(hours=6), HOUR - timedelta(hours=5)
    provider.usage(first, requests=9)
    pulling.pull(source.pk, clock=at(NOW))
    provider.cells.clear()
    provider.dropped_until = second + timedelta(hours=1)
    provider.usage(first, requests=1)
    provider.usage(second, requests=4)
    pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=5)))
    assert {hour.hour: hour.requests for hour in UsageHour.objects.all()} == {first: 9, second: 4}
