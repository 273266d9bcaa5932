"""The course of a phase's spend: what was, what is expected, and the budget, on a drawing and in a sentence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.models import CostEntry
from roadmap.reports.documents import document_of
from roadmap.reports.documents.v1.course import course
from roadmap.reports.sections.course import thinned
from roadmap.reports.snapshot import section_value
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report
from web.course import draw_course
from web.wording import money

__all__ = ["roadmap"]


@pytest.fixture
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.mark.parametrize("count", [0, 1, 2, 59, 60, 61, 119, 120, 550])
def test_thinning_keeps_the_ends_and_few_between(count):
    items = list(range(count))
    kept = thinned(items)
    assert len(kept) <= 61
    assert kept == sorted(set(kept))
    assert not items or (kept[0], kept[-1]) == (items[0], items[-1])


@pytest.mark.usefixtures("_november")
def test_it_cumulates_usage_and_entries_by_the_day(roadmap, adam):
    # By hand: 9.00 on 3 September, an entry of 31.00 over October's days, 1.00 a day, and 40.00 on 3 October.
    push(roadmap, datetime(2026, 9, 3, 10, tzinfo=UTC), requests=1, cost="9.00")
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    CostEntry.objects.create(
        roadmap=roadmap, name="Licences", category="licences", amount=Decimal(31), currency="USD",
        start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
    )  # fmt: skip
    close_month(Asker(adam), MONTH)
    payload = roadmap_report(roadmap).payload
    value = section_value(payload, "course")
    spent = {point["on"]: point["spent"] for point in value["points"]}
    assert (value["start_on"], value["budget"]) == ("2026-09-01", "6000")
    assert (spent["2026-10-31"], spent["2026-09-01"]) == ("80", "0")
    assert spent.get("2026-10-03", "52") == "52"
    (block,) = next(section for section in document_of(payload).sections if section.name == "course").blocks
    assert block.said.startswith("80.00\u00a0USD were spent by 31\u00a0Oct\u00a02026")
    assert block.said.endswith(f"; the budget is {money(Decimal(6000), 'USD')}.")


@pytest.mark.usefixtures("_november")
@pytest.mark.parametrize(("costs", "has_band"), [(["40.00"], False), (["10.00", "40.00", "70.00"], True)])
def test_a_forecast_s_band_is_said_where_its_ends_differ(roadmap, adam, costs, has_band):
    for day in range(1, 31):
        push(roadmap, datetime(2026, 10, day, 10, tzinfo=UTC), requests=1, cost=costs[day % len(costs)])
    # The last day is no other than the rest, so that each of them has the same spend.
    push(roadmap, datetime(2026, 10, 31, 10, tzinfo=UTC), requests=1, cost=costs[0])
    close_month(Asker(adam), MONTH)
    payload = roadmap_report(roadmap).payload
    figures = {figure["key"]: figure for figure in section_value(payload, "headline")["figures"]}
    found = figures["forecast"]
    assert found["value"] is not None
    assert (found["low"] != found["high"]) == has_band
    assert ("band" in {note["say"] for note in found["notes"]}) == has_band
    (block,) = next(section for section in document_of(payload).sections if section.name == "course").blocks
    assert (" to " in block.said) == has_band


def value_of(**changed) -> dict:
    return {
        "start_on": date(2026, 1, 1),
        "end_on": date(2026, 12, 31),
        "budget": Decimal(100),
        "points": [{"on": date(2026, 1, 1), "spent": Decimal(0)}, {"on": date(2026, 6, 30), "spent": Decimal(50)}],
        "forecast": [
            {"on": date(2026, 6, 30), "spent": Decimal(50), "low": None, "high": None},
            {"on": date(2026, 12, 31), "spent": Decimal(120), "low": Decimal(110), "high": Decimal(254)},
        ],
        **changed,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"budget": None},
        {"budget": Decimal(0)},
        {"forecast": []},
        {"points": [{"on": date(2026, 1, 1), "spent": Decimal(0)}, {"on": date(2026, 1, 2), "spent": Decimal(0)}]},
        {
            "points": [
                {"on": date(2026, 1, 1), "spent": Decimal(-5)},
                {"on": date(2027, 3, 1), "spent": Decimal("0.004")},
            ]
        },
        {"budget": Decimal("1e15")},
    ],
    ids=["all", "no-budget", "budget-of-nothing", "no-forecast", "nothing-spent", "credit-and-late", "huge"],
)
def test_everything_lies_inside_the_drawing(changed):
    (block,) = course(value_of(**changed), {"currency": "EUR"}).blocks
    places = [*block.past, *block.ahead, *((x, high) for x, _, high in block.band)]
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in places)
    assert block.limit is None or 0 < block.limit <= 1
    assert 2 <= len(block.levels) <= 7
    drawn = draw_course(block)
    ends = [float(point.split(",")[1]) for point in drawn.past.split()]
    assert all(14 <= end <= 176 for end in ends)
    assert len(ends) == len(block.past)
