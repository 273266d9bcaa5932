"""The phase page's dashboard and its REST twin: same figures, few queries, filters in words, nothing for outsiders."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Asker
from metrics import identity, ledger
from metrics.counting import recount
from metrics.ledger import PostedCell
from metrics.models import Backend, RateCard, Receipt
from metrics.usage import FeedKind, SeriesKey
from roadmap.models import CostEntry, Phase
from roadmap.queries.dashboard_filters import parse_filters
from roadmap.queries.phase_dashboard import phase_dashboard
from roadmap.rules.costs import CostSpan, amount_in

D = Decimal
DAY = timedelta(days=1)
MOST_QUERIES = 15


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def backend(db) -> Backend:
    return Backend.objects.create(
        slug="api-1", name="API 1", connector="push_only", provider="openai", measured_at="gateway"
    )


@pytest.fixture
def push(poc, backend, today):
    """`push(days_back, model=..., **sums)`: one hour at noon UTC, in the ledger."""

    def _push(days_back=1, *, model="m1", on=None, histograms=None, currency="EUR", at_hour=12, **sums):
        source = on or backend
        wanted = identity.SeriesIdentity(
            SeriesKey(provider=source.provider, model=model),
            source.pk,
            is_pushed=True,
            workload_id=poc.roadmap.workload_id,
            measured_at="gateway",
        )
        series_id = identity.series_ids([wanted])[wanted]
        day = today - DAY * days_back
        hour = datetime(day.year, day.month, day.day, at_hour, tzinfo=UTC)
        hour = min(hour, timezone.now().replace(minute=0, second=0, microsecond=0))
        kept = currency if any(name.endswith("cost") for name in sums) else ""
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=source),
            ledger.feed(FeedKind.PUSH, source),
            [PostedCell(series_id, hour, sums, histograms or {}, kept)],
        )

    return _push


@pytest.fixture
def a_month(push):
    """28 days of 1,000 requests, 10 EUR, 1 M tokens a day; p95 in one bucket of about 1.2 s."""
    for back in range(1, 29):
        push(
            back,
            requests=1000,
            errors=10,
            input_tokens=800_000,
            output_tokens=200_000,
            estimated_cost=D(10),
            duration_count=990,
            duration_sum_ms=D(990_000),
            histograms={"duration": [240, 990]},
        )


def page(client, phase, query=""):
    return client.get(f"{phase.get_absolute_url()}{query}")


def figure(dashboard, name):
    return next(item for item in dashboard.figures if item.name == name)


def test_it_shows_what_was_spent_and_measured(alice, poc, a_month, asker):
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert found.money.spent == 280
    assert figure(found, "cost_per_million_tokens").value.value == 10
    assert figure(found, "tokens_per_second_per_dollar").value.value == D(28 * 200_000) / (3600 * 280)
    p95 = figure(found, "duration_p95").value
    assert (p95.sample, p95.basis) == (28 * 990, "at the gateway")
    assert 1.1 < p95.value < 1.3


def test_the_page_and_the_api_show_the_same_figures(alice, poc, a_month, sign_in, api):
    text = page(sign_in(alice), poc).content.decode().replace("\u00a0", " ")
    answer = api(alice, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard")
    assert answer.status_code == 200
    figures = {item["name"]: item for item in answer.json()["figures"]}
    assert figures["spend"]["value"] == "280"
    assert "280" in text
    assert figures["cost_per_million_tokens"]["value"] == "10"
    p95 = D(figures["duration_p95"]["value"])
    assert f"{p95:.2f}<small>s</small>" in text
    for item in figures.values():
        assert item["unit"]
        assert item["window"]["start_on"] < item["window"]["end_before"]
    assert answer.json()["freshness"][0]["backend"] == "api-1"
    assert answer.json()["money"]["forecast"]["run_rate_per_day"] == "10"


def test_the_forecast_carries_the_run_rate_to_the_planned_end(alice, poc, a_month, asker, today):
    Phase.objects.filter(pk=poc.pk).update(planned_end_on=today + 9 * DAY, budget_amount=D(350), budget_currency="EUR")
    money = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc").money
    assert (money.forecast.total, money.forecast.days_used) == (380, 28)
    assert (money.forecast.low, money.forecast.high) == (380, 380)
    # 280 + 8 days: 360 passes 350 on the eighth day from today.
    assert money.forecast.passes_on == today + 7 * DAY


def test_todays_spend_is_shown_and_the_forecast_starts_yesterday(alice, poc, a_month, push, asker, today):
    Phase.objects.filter(pk=poc.pk).update(planned_end_on=today + 9 * DAY)
    push(0, requests=1, estimated_cost=D(7), input_tokens=1, output_tokens=1)
    money = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc").money
    assert money.spent == 287
    assert money.forecast.total == 380


def test_cost_entries_count_by_the_day(alice, poc, asker, today):
    CostEntry.objects.create(
        roadmap=poc.roadmap,
        phase=poc,
        name="Team",
        category="people",
        amount=D(100),
        currency="EUR",
        start_on=today - 9 * DAY,
        end_on=today + 10 * DAY,
    )
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert found.money.spent == 50
    assert found.money.basis == "all entered by hand"
    assert found.money.forecast.total is None


def test_february_and_march_share_an_entry_by_their_days():
    """100 over 15 Feb to 6 Mar 2026 (20 days): 14 days of February are 70, six of March 30."""
    span = CostSpan(D(100), date(2026, 2, 15), date(2026, 3, 6))
    assert amount_in(span, date(2026, 2, 1), date(2026, 3, 1)) == 70
    assert amount_in(span, date(2026, 3, 1), date(2026, 4, 1)) == 30


def test_a_day_of_23_or_25_hours_is_as_long_as_it_is(settings):
    from roadmap.queries.readings import window_seconds

    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    later = datetime(2026, 12, 31, tzinfo=UTC)
    assert window_seconds(date(2026, 3, 29), date(2026, 3, 30), later) == 23 * 3600
    assert window_seconds(date(2026, 10, 25), date(2026, 10, 26), later) == 25 * 3600
    # A running window ends now: 00:00 to 12:30 local time.
    noon = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
    assert window_seconds(date(2026, 6, 1), date(2026, 6, 2), noon) == 45_000


def test_a_push_of_today_is_on_a_phase_that_started_today(alice, poc, push, asker, today):
    Phase.objects.filter(pk=poc.pk).update(started_on=today)
    push(0, requests=2, errors=0, input_tokens=500, output_tokens=500, estimated_cost=D("0.002"))
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert figure(found, "cost_per_million_tokens").value.value == 2
    assert figure(found, "cost_per_million_tokens").window == "today so far"
    assert found.money.spent == D("0.002")


def test_a_change_is_said_with_its_direction(alice, poc, push, asker):
    for back in range(1, 40):
        cost = D(10) if back > 28 else D(8)
        push(back, requests=10, errors=0, input_tokens=500_000, output_tokens=500_000, estimated_cost=cost)
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    cost = figure(found, "cost_per_million_tokens")
    assert (cost.value.value, cost.before.value, cost.change, cost.is_better) == (8, 10, D("-0.2"), True)
    assert found.tiles[1].delta == "20% lower, better"
    assert found.tiles[3].delta == "25% higher, better"


def test_unknown_cost_is_not_priced_and_never_zero(alice, poc, push, asker, sign_in):
    push(1, requests=30, input_tokens=1000, output_tokens=1000)
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert (found.money.spent, found.not_priced_tokens, found.not_priced_requests) == (None, 2000, 30)
    assert found.tiles[0].figure == ""
    text = page(sign_in(alice), poc).content.decode()
    assert "Not priced:" in text
    assert "No data" in text


def test_a_tile_says_what_would_fill_it(alice, poc, asker):
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert [tile.figure for tile in found.tiles] == [""] * 4
    assert all(tile.missing for tile in found.tiles)
    assert "gateway" in found.tiles[2].missing


def test_work_that_is_not_tokens_has_its_own_tiles(alice, poc, push, asker):
    poc.roadmap.unit_of_work = "image"
    poc.roadmap.save()
    push(1, requests=40, errors=0, units=D(80), estimated_cost=D(4))
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert [item.name for item in found.figures] == [
        "spend",
        "cost_per_1000_units",
        "duration_p95",
        "requests_per_second_per_dollar",
    ]
    assert found.figures[1].value.value == 50
    assert found.figures[3].value.value == D(40) / 4 / 3600


def test_filters_narrow_every_figure_and_take_the_budget_away(alice, poc, a_month, push, asker, today):
    Phase.objects.filter(pk=poc.pk).update(budget_amount=D(350), budget_currency="EUR")
    push(1, model="m2", requests=5, errors=0, input_tokens=10, output_tokens=10, estimated_cost=D(1))
    ask = {"asker": asker(alice), "slug": poc.roadmap.slug, "kind": "poc"}

    def spent(**parameters):
        found = phase_dashboard(ask["asker"], slug=ask["slug"], kind="poc", filters=parse_filters(parameters))
        assert not found.filters.problems
        return figure(found, "spend").value.value, found.tiles[0].gauge

    assert spent(model="m2") == (1, None)
    assert spent(model="m1")[0] == 280
    assert spent(backend="api-1")[0] == 281
    week = {"from": (today - 7 * DAY).isoformat(), "to": (today - DAY).isoformat()}
    assert spent(**week) == (71, None)
    assert spent(**week, model="m1", backend="api-1") == (70, None)


def test_the_whole_window_is_no_filter(alice, poc, a_month, asker, today):
    whole = {"from": poc.started_on.isoformat(), "to": today.isoformat()}
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc", filters=parse_filters(whole))
    assert not found.filters.is_set


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?from=2026-13-45", "is not a date"),
        ("?from=yesterday", "is not a date"),
        ("?from=2026-03-02&to=2026-03-01", "lies before"),
        ("?to=1999-01-01", "outside this phase"),
        ("?backend=nobody", "No backend"),
        ("?model=%27%3B--", "No model"),
        ("?model=" + "x" * 300, "longer than"),
        ("?backend=%00", ""),
    ],
)
def test_a_bad_filter_is_answered_in_words(alice, poc, push, sign_in, api, query, words):
    push(1, requests=1)
    answer = page(sign_in(alice), poc, query)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    document = api(alice, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard{query}")
    if words:
        assert document.status_code == 422
        assert document["content-type"].startswith("application/problem+json")
        assert words in json.dumps(document.json())
    else:
        assert document.status_code == 200


def test_htmx_gets_the_dashboard_alone(alice, poc, sign_in):
    client = sign_in(alice)
    part = client.get(poc.get_absolute_url(), headers={"hx-request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="dashboard"')
    assert "HX-Request" in client.get(poc.get_absolute_url())["vary"]


@pytest.mark.parametrize("name", ["alice", "bob", "vera", "adam", "erin"])
def test_who_belongs_to_it_sees_it(name, poc, request, sign_in, api, erin):
    person = request.getfixturevalue(name)
    assert page(sign_in(person), poc).status_code == 200
    assert api(person, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard").status_code == 200


def test_outsiders_find_nothing(poc, oscar, client, sign_in, api, other, alice):
    assert page(client, poc).status_code == 302
    assert page(sign_in(oscar), poc).status_code == 404
    assert page(sign_in(oscar), poc, "?from=x").status_code == 404
    assert api(oscar, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard").status_code == 404
    assert api(alice, scopes=["push"]).get(f"/api/v1/phases/{poc.pk}/dashboard").status_code == 403
    bound = api(alice, scopes=["read"], workload=other)
    assert bound.get(f"/api/v1/phases/{poc.pk}/dashboard").status_code == 404
    assert sign_in(alice).get(f"{poc.roadmap.get_absolute_url()}nonsense/").status_code == 404


def test_a_phase_that_has_not_started_says_so(alice, plan, sign_in, api):
    later = plan.phases.get(kind="optimise")
    assert "has not started" in page(sign_in(alice), later).content.decode()
    document = api(alice, scopes=["read"]).get(f"/api/v1/phases/{later.pk}/dashboard").json()
    assert (document["window"], document["figures"], document["money"]) == (None, [], None)


def test_the_page_takes_at_most_fifteen_queries_whatever_there_is(alice, poc, push, sign_in, a_month):
    client = sign_in(alice)
    page(client, poc)
    with CaptureQueriesContext(connection) as few:
        page(client, poc)
    for number in range(6):
        source = Backend.objects.create(slug=f"b{number}", name=f"B{number}", connector="push_only", provider="vllm")
        RateCard.objects.create(
            backend=source,
            kind="rented",
            units=1,
            currency="EUR",
            rate_per_unit_hour=1,
            valid_from_on=poc.started_on + DAY,
        )
        for back in range(1, 40, 3):
            push(back, on=source, model=f"x{number}", requests=1, output_tokens=5, estimated_cost=D(1))
        poc.milestones.create(name=f"M{number}", due_on=poc.started_on, baseline_due_on=poc.started_on)
        CostEntry.objects.create(
            roadmap=poc.roadmap, name=f"C{number}", category="data", amount=1, currency="EUR", start_on=poc.started_on
        )
    page(client, poc)
    with CaptureQueriesContext(connection) as many:
        page(client, poc)
    assert len(many) == len(few) <= MOST_QUERIES


def test_filters_and_linked_sources_cost_no_more(alice, poc, push, sign_in, a_month):
    """A page of one model on one backend, with sources that are linked and a cross-check between them."""
    gateway = Backend.objects.create(
        slug="gw", name="LiteLLM", connector="push_only", provider="p", measured_at="gateway"
    )
    server = Backend.objects.create(
        slug="gpu", name="GPU 1", connector="push_only", provider="vllm", behind=gateway, behind_from_on=poc.started_on
    )
    for back in range(1, 30):
        push(back, on=gateway, model="llama", requests=1, input_tokens=5, output_tokens=5, estimated_cost=D(1))
        push(back, on=server, model="llama", requests=1, input_tokens=6, output_tokens=5, estimated_cost=D(1))
    recount([server.pk])
    client = sign_in(alice)
    start = poc.started_on + timedelta(days=3)
    for query in ("", "?backend=gw&model=llama", f"?from={start}&backend=gw&model=llama"):
        page(client, poc, query)
        with CaptureQueriesContext(connection) as asked:
            text = page(client, poc, query).content.decode()
        assert "GPU 1" in text
        assert len(asked) <= MOST_QUERIES


def test_another_currency_costs_one_query_and_what_has_no_rate_is_said(alice, poc, push, sign_in, asker):
    push(1, requests=1, estimated_cost=D(5), currency="JPY")
    found = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc")
    assert found.money.spent is None
    assert found.money.no_rate == {"JPY"}
    assert "No rate:" in page(sign_in(alice), poc).content.decode()


def test_marks_are_what_changed(alice, poc, a_month, asker, today):
    done = poc.milestones.first()
    done.state, done.done_on = "done", today - 3 * DAY
    done.save()
    poc.annotations.create(on=today - 2 * DAY, text="FP8 build", author=alice)
    charts = phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc").charts
    marks = next(chart for chart in charts if chart.id == "spend").marks
    texts = [mark.text for mark in marks]
    assert any(done.name in text for text in texts)
    assert any("FP8 build" in text for text in texts)


def test_every_chart_has_its_table_and_no_more_than_150_points(alice, poc, a_month, asker):
    for chart in phase_dashboard(asker(alice), slug=poc.roadmap.slug, kind="poc").charts:
        assert chart.title
        assert chart.subtitle
        if chart.spec is not None:
            assert chart.table is not None
            assert 0 < len(chart.table.rows) <= 150


def test_the_asker_is_asked_for_once(alice, poc):
    assert phase_dashboard(Asker(alice), phase_id=poc.pk).rows.role == "manager"
