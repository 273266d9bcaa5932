"""What the plan's tables give as files is imported again: nothing changes, and no column is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.kpis import NewReading as At
from roadmap.actions.kpis import add_kpi, record_readings
from roadmap.actions.milestones import add_milestone, drop_milestone, tick_milestone
from roadmap.actions.roadmaps import make_roadmap
from roadmap.imports.cells import Choices
from roadmap.imports.own_plan import own_plan
from roadmap.imports.run import look_at, run_import

DAY = timedelta(days=1)


@pytest.fixture
def full(plan, poc, alice, bob, asker, today):
    """A plan with something in every column."""
    a = asker(alice)
    first = add_milestone(a, poc, name="=First", due_on=today, owner=bob, outside_key="A-1")
    add_milestone(a, poc, name="Second", due_on=today + DAY, depends_on=[first], evidence_url="https://example.org/x")
    tick_milestone(a, first, done_on=today - DAY)
    drop_milestone(a, add_milestone(a, poc, name="Third", due_on=today), reason="-no budget")
    value = {"is_value": True, "rate_amount": Decimal("42.5"), "rate_currency": "EUR", "rate_source": "HR"}
    add_kpi(a, poc, name="Hours", direction="higher", combine="sum", target=Decimal("400.5"), rate_owner=alice, **value)
    add_kpi(a, poc, name="Per hour", direction="lower", formula="100 / hours", window_days=None)
    add_cost_entry(
        a, poc, name="Licences", category="licences", amount=Decimal("1234.50"), start_on=today, end_on=today + DAY
    )
    add_cost_entry(a, poc, name="+49", category="other", amount=Decimal(1000), start_on=today, outside_key="I-1")
    return plan


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("table", ["milestones", "kpis", "cost-entries"])
def test_a_roadmaps_tables(full, alice, asker, sign_in, table, form):
    answer = sign_in(alice).get(reverse("roadmap_file", args=[full.slug, table, form]))
    content = answer.getvalue()
    name = answer["Content-Disposition"].split('"')[1]
    assert [use.header for sheet in look_at(content, Choices(), name=name).sheets for use in sheet.unknown] == []
    result = run_import(asker(alice), content, Choices(), dry_run=True, name=name)
    rows = [row for sheet in result.sheets for row in sheet.rows]
    assert [row for row in rows if row.outcome != "unchanged"] == []
    assert result.counts["unchanged"] > 1
    assert sum(sheet.missing_count for sheet in result.sheets) == 0


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_readings_to_the_microsecond(full, poc, alice, asker, sign_in, settings, form):
    settings.REPORTING_ZONE = ZoneInfo("Europe/Berlin")
    kpi = poc.kpis.get(key="hours")
    times = [datetime(2026, 11, 2, 10, 0, second, micros, UTC) for second, micros in ((0, 0), (1, 123456), (2, 999999))]
    record_readings(asker(alice), kpi, [At(at, Decimal("1234.5"), "=note") for at in times])
    answer = sign_in(alice).get(reverse("readings_file", args=[kpi.pk, form]))
    name = answer["Content-Disposition"].split('"')[1]
    result = run_import(asker(alice), answer.getvalue(), Choices(), dry_run=True, name=name)
    assert result.counts["unchanged"] == 3
    assert result.sheets[0].unknown == []


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_portfolio_finds_its_roadmaps(full, adam, asker, sign_in, form):
    answer = sign_in(adam).get(reverse("portfolio_file", args=[form]))
    result = run_import(asker(adam), answer.getvalue(), Choices(), dry_run=True, name=f"portfolio-2026-11-26.{form}")
    assert result.counts["unchanged"] == 1, result.sheets[0].rows


def test_the_workbook_with_the_plan(full, alice, asker, sign_in):
    answer = sign_in(alice).get(reverse("plan_template"), {"with": "plan"})
    result = run_import(asker(alice), answer.content, Choices(), dry_run=True)
    rows = [row for sheet in result.sheets for row in sheet.rows]
    assert [row for row in rows if row.outcome != "unchanged" or row.notes] == []
    assert {sheet.kind: (len(sheet.rows) > 0, sheet.missing_count) for sheet in result.sheets} == {
        "roadmaps": (True, 0), "milestones": (True, 0), "kpis": (True, 0), "readings": (False, 0),
        "cost_entries": (True, 0),
    }  # fmt: skip


def test_it_holds_what_the_person_may_change_and_nothing_else(full, bob, oscar, adam, asker):
    make_roadmap(asker(adam), name="Another", owner=adam)
    assert [row["key"] for row in own_plan(asker(adam))["roadmaps"]] == ["another", "contact-centre"]
    assert [row["key"] for row in own_plan(asker(bob))["roadmaps"]] == ["contact-centre"]
    assert own_plan(asker(oscar)) == {"roadmaps": [], "milestones": [], "kpis": [], "cost_entries": []}
