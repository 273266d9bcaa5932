"""What the portfolio remembers of a roadmap is what would be computed now, whatever changed and however."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User, Workload
from metrics import days, identity, ledger, series
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, ExchangeRate, Receipt, Series
from metrics.usage import FeedKind, SeriesKey
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import (
    ChecklistItem,
    CostEntry,
    Gate,
    GateCriterion,
    Kpi,
    Milestone,
    Phase,
    Programme,
    Reading,
    Roadmap,
    Update,
)
from roadmap.queries import portfolio_memory
from roadmap.queries.gate_state import criterion_states, standings_of
from roadmap.queries.phase_dashboard import phase_dashboard
from roadmap.queries.plan_states import plan_states
from roadmap.queries.portfolio import portfolio
from roadmap.queries.portfolio_filters import parse_portfolio_filters
from roadmap.rules.gates import met_count
from roadmap.views import portfolio_row

D = Decimal
DAY = timedelta(days=1)
ALL = parse_portfolio_filters({})


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def backend(db) -> Backend:
    return Backend.objects.create(slug="api-1", name="API 1", connector="push_only", provider="openai")


@pytest.fixture
def use(backend, today):
    """`use(roadmap, days_back, ...)`: 300 requests at noon of each of these days."""

    def _use(roadmap, *days_back, cost="2.5", currency="EUR", provider="openai"):
        wanted = identity.SeriesIdentity(
            SeriesKey(provider=provider, model="m1"), backend.pk, is_pushed=True, workload_id=roadmap.workload_id
        )
        series_id = identity.series_ids([wanted])[wanted]
        cells = [
            PostedCell(
                series_id,
                datetime.combine(today - back * DAY, time(0), tzinfo=UTC),
                {
                    "requests": 300,
                    "errors": 3,
                    "input_tokens": 9_000,
                    "output_tokens": 4_000 + back,
                    "estimated_cost": D(cost),
                },
                {"duration": [200 + back % 9, 100, 150, 50]},
                currency,
            )
            for back in days_back
        ]
        ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), ledger.feed(FeedKind.PUSH, backend), cells)

    return _use


@pytest.fixture
def full(plan, poc, alice, today) -> Roadmap:
    """A roadmap of every kind of criterion: percentile, ratio, formula, rate per value, read, milestone, checklist."""
    start_on = today - 100 * DAY
    Phase.objects.filter(pk=poc.pk).update(started_on=start_on, planned_start_on=start_on, budget_amount=D(900))
    GateCriterion.objects.filter(gate=poc.gate, kpi__isnull=False).delete()
    value = poc.kpis.get(is_value=True)
    for place, fields in enumerate(
        [
            {"measure": "duration_p95", "source": "computed", "window_days": None},
            {"measure": "cost_per_1000_requests", "source": "computed", "window_days": 28},
            {"measure": "cost_per_unit_of_value", "source": "computed", "window_days": None},
            {"measure": "throughput", "source": "computed", "window_days": 7},
            {"formula": "tried * 2", "source": "formula", "window_days": 14},
        ]
    ):
        kpi = Kpi.objects.create(phase=poc, name=f"Asked {place}", direction="lower", target=D(100_000), **fields)
        GateCriterion.objects.create(gate=poc.gate, kpi=kpi)
    # An operand that the gate itself does not ask for.
    Kpi.objects.create(phase=poc, name="Tried", key="tried", direction="lower", source="computed", measure="requests")
    GateCriterion.objects.create(gate=poc.gate, kpi=value, needs="measured")
    at = timezone.now() - 3 * DAY
    Reading.objects.create(kpi=value, at=at, value=D(50), author=alice)
    CostEntry.objects.create(
        roadmap=plan, name="People", category="people", amount=D(70), currency="GBP", start_on=today - 20 * DAY
    )
    ExchangeRate.objects.bulk_create(
        ExchangeRate(currency=code, on=today - back * DAY, per_euro=rate, source="test")
        for back in range(0, 120, 2)
        for code, rate in (("USD", D("1.1") + D(back) / 1000), ("GBP", D("0.85")))
    )
    return plan


def row_of(found, roadmap):
    return next(row for row in found.rows if row.slug == roadmap.slug)


def test_its_figures_are_those_of_the_phase_page(alice, full, poc, use, asker):
    use(full, *range(1, 90), currency="USD")
    for _ in range(2):
        row = row_of(portfolio(asker(alice), ALL), full)
        page = phase_dashboard(asker(alice), slug=full.slug, kind="poc")
        assert (row.spent, row.budget, row.forecast, row.over) == (
            page.money.spent,
            page.money.budget,
            page.money.forecast.total,
            page.money.over,
        )
        criteria = criterion_states(page.rows.criteria, values=page.values, today=page.today)
        assert (row.criteria_met, row.criteria_total) == met_count(standings_of(criteria))
        # The second time after more has come, on top of what is remembered.
        use(full, 2, 0, 40, currency="USD")


def test_every_value_that_a_gate_asks_for_is_that_of_the_phase_page(alice, full, use, asker, monkeypatch):
    use(full, *range(1, 90), currency="USD")
    seen = []
    monkeypatch.setattr(
        "roadmap.queries.portfolio_standing.criterion_states",
        lambda rows, *, values, today: seen.append(dict(values)) or [],
    )
    now = timezone.now()
    portfolio(asker(alice), ALL, now=now)
    page = phase_dashboard(asker(alice), slug=full.slug, kind="poc", now=now)
    asked = {row.kpi_id for row in page.rows.criteria if row.kpi_id}
    assert len(asked) == 6
    assert seen[0] == {pk: page.values[pk] for pk in asked}
    assert all(value.value is not None for value in seen[0].values())


# --- What changes a row


def close_milestones(full):
    Milestone.objects.filter(criteria__gate__phase__roadmap=full).update(state="done", done_on=timezone.localdate())


def rename_next_milestone(full):
    first = Milestone.objects.filter(phase__roadmap=full, phase__kind="poc").order_by("due_on", "pk").first()
    Milestone.objects.filter(pk=first.pk).update(name="Renamed")


def tick(full):
    ChecklistItem.objects.filter(criteria__gate__phase__roadmap=full).update(is_done=True)


def lower_target(full):
    Kpi.objects.filter(phase__roadmap=full, name="Asked 0").update(target=D("0.000001"))


def change_operand(full):
    Kpi.objects.filter(phase__roadmap=full, name="Tried").update(measure="tokens", name="Tokens")


def say(full):
    Update.objects.create(
        roadmap=full, status="off_track", sentence="Stuck.", author=full.owner, created_at=timezone.now()
    )


CHANGES = {
    "name": lambda full: Workload.objects.filter(pk=full.workload_id).update(name="Another name"),
    "business unit": lambda full: Roadmap.objects.filter(pk=full.pk).update(business_unit="Sales"),
    "programme": lambda full: Roadmap.objects.filter(pk=full.pk).update(
        programme=Programme.objects.create(name="New programme")
    ),
    "owner's name": lambda full: User.objects.filter(pk=full.owner_id).update(first_name="Alicia"),
    "budget": lambda full: full.phases.filter(kind="poc").update(budget_amount=D(5)),
    "a later phase": lambda full: full.phases.filter(kind="optimise").update(planned_end_on=date(2040, 1, 1)),
    "gate": lambda full: Gate.objects.filter(phase__roadmap=full).update(due_on=timezone.localdate() - DAY),
    "criterion": lambda full: GateCriterion.objects.filter(kpi__name="Asked 1").delete(),
    "milestones done": close_milestones,
    "next milestone": rename_next_milestone,
    "checklist": tick,
    "target": lower_target,
    "reading": lambda full: Reading.objects.filter(kpi__phase__roadmap=full).delete(),
    "cost entry": lambda full: CostEntry.objects.filter(roadmap=full).update(amount=D(71)),
    "update": say,
    "rate": lambda full: ExchangeRate.objects.filter(currency="USD").update(per_euro=D(2)),
    "share": lambda full: Allocation.objects.filter(workload=full.workload).update(share_ratio=D("0.5")),
    "counted elsewhere": lambda full: Series.objects.update(uncounted_from_on=timezone.localdate() - 10 * DAY),
    "caches dropped": lambda full: (Series.objects.update(is_demo=True), days.drop()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_shows_at_once(alice, full, use, asker, what):
    use(full, *range(1, 40), currency="USD")
    before = portfolio(asker(alice), ALL)
    assert portfolio(asker(alice), ALL) == before
    CHANGES[what](full)
    after = portfolio(asker(alice), ALL)
    portfolio_memory.forget()
    assert after == portfolio(asker(alice), ALL)
    assert after != before


def test_usage_shows_at_once_and_leaves_others_alone(erin, adam, alice, full, use, asker, today):
    other = make_roadmap(asker(adam), name="Other plan", owner=alice, start_on=today - 30 * DAY)
    use(full, 3)
    use(other, 3)
    before = portfolio(asker(erin), ALL)
    use(other, 2, 300)
    after = portfolio(asker(erin), ALL)
    assert row_of(after, full) is not None
    assert row_of(after, full) == row_of(before, full)
    assert row_of(after, other).spent == 2 * row_of(before, other).spent


def test_a_state_changes_with_what_is_read_and_with_nothing_else(full, use, adam, alice, asker, today):
    other = make_roadmap(asker(adam), name="Other plan", owner=alice, start_on=today - 30 * DAY)
    ids = [full.workload_id, other.workload_id]
    use(full, 3)
    use(other, 3)
    before = series.usage_states(ids)
    assert before == series.usage_states(ids)
    use(other, 3)
    after = series.usage_states(ids)
    assert after.of[full.workload_id] == before.of[full.workload_id]
    assert after.of[other.workload_id] != before.of[other.workload_id]
    assert after.everything != before.everything


def test_a_reading_of_tomorrow_changes_the_state_tomorrow(erin, full, asker):
    now = timezone.now()
    kpi = Kpi.objects.get(phase__roadmap=full, phase__kind="poc", is_value=True)
    before = plan_states(asker(erin), now=now)
    Reading.objects.create(kpi=kpi, at=now + DAY, value=D(9))
    assert plan_states(asker(erin), now=now) == before
    assert plan_states(asker(erin), now=now + 2 * DAY) != before


def test_without_what_was_built_nothing_is_remembered(alice, full, use, asker, monkeypatch):
    """While another process builds days, rows are computed from the hours."""
    use(full, 3)
    monkeypatch.setattr(days, "refresh", lambda *_, **__: False)
    first = row_of(portfolio(asker(alice), ALL), full).spent
    use(full, 3)
    assert row_of(portfolio(asker(alice), ALL), full).spent == first + D("2.5")


def test_a_row_is_drawn_again_where_it_or_its_table_changed(sign_in, alice, full, use):
    client = sign_in(alice)
    first = client.get("/").content.decode()
    assert client.get("/").content.decode().count("<tr>") == first.count("<tr>")
    Workload.objects.filter(pk=full.workload_id).update(name="A <b> & c")
    assert "A &lt;b&gt; &amp; c" in client.get("/").content.decode()
    held = portfolio_row._drawn[full.slug][1]
    use(full, 1, cost="9000000")
    assert portfolio_row._drawn[full.slug][1] == held
    assert "millions of EUR" in client.get("/").content.decode()
    assert portfolio_row._drawn[full.slug][1] != held


@pytest.mark.parametrize("who", ["alice", "erin"])
def test_as_many_queries_with_12_roadmaps_as_with_3(who, request, adam, alice, full, use, asker, sign_in, today):
    client = sign_in(request.getfixturevalue(who))

    def grow(number):
        for place in range(Roadmap.objects.count(), number):
            made = make_roadmap(
                asker(adam), name=f"Plan {place}", owner=alice, start_on=today - (50 + place) * DAY, currency="EUR"
            )
            CostEntry.objects.create(
                roadmap=made, name="People", category="people", amount=D(7), currency="GBP", start_on=today - 9 * DAY
            )
            use(made, 1, 2)

    def asked():
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        return len(queries)

    use(full, 1, 2)
    client.get("/")
    counts = []
    for number in (3, 12):
        grow(number)
        days.refresh()
        portfolio_memory.forget()
        counts.append((asked(), asked()))
    assert counts[0] == counts[1]
    first, again = counts[0]
    assert again < 12
    assert first <= 24
