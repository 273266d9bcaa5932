"""A file that was exported is imported again as it is: every row is found, and none is changed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone, drop_milestone, tick_milestone
from roadmap.imports.cells import Choices
from roadmap.imports.run import run_import

DAY = timedelta(days=1)


@pytest.fixture
def filled(plan, poc, alice, bob, asker, today):
    """Milestones of each state, a KPI of each source with readings, cost entries with keys."""
    a = asker(alice)
    first = add_milestone(a, poc, name="Data", due_on=today, outside_key="CL-1", evidence_url="https://example.org/a")
    add_milestone(
        a, poc, name="Pilot; two teams", due_on=today + DAY, owner=bob, depends_on=[first], outside_key="CL-2"
    )
    tick_milestone(a, first)
    drop_milestone(a, add_milestone(a, poc, name="Tour", due_on=today), reason="No budget, yet")
    kpi = add_kpi(a, poc, name="Hours saved", direction="higher", unit="h", target=Decimal("400.5"), target_on=today)
    record_reading(asker(bob), kpi, at=timezone.now() - DAY, value=Decimal("12.125"), note="by hand")
    for number, end_on in ((1, None), (2, today + 30 * DAY)):
        add_cost_entry(
            a, poc, name=f"Labels {number}", category="data", amount=Decimal("1234.50"), start_on=today, end_on=end_on,
            currency="EUR", outside_key=f"INV-{number}",
        )  # fmt: skip
    return kpi


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("table", ["milestones", "kpis", "cost-entries", "readings"])
def test_it_comes_back_unchanged(filled, plan, alice, asker, sign_in, table, form):
    base = f"/kpis/{filled.pk}/" if table == "readings" else plan.get_absolute_url()
    content = sign_in(alice).get(f"{base}{table}.{form}").getvalue()
    kind = table.replace("-", "_")
    found = run_import(asker(alice), content, Choices.of({"kind": kind}), dry_run=True, name=f"{kind}.{form}")
    [sheet] = found.sheets
    told = [(row.outcome, row.name, row.changes, row.problems) for row in sheet.rows if row.outcome != "unchanged"]
    assert (sheet.problem, told) == (None, [])
    assert sheet.kind == kind
    assert sheet.count("unchanged") == sheet.row_count > 0
    assert sheet.missing_count == 0
